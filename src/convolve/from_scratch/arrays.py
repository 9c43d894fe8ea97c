"""The types that every file of the package speaks of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
"""float32 or float64, of the shape that the docstring gives."""
Labels = npt.NDArray[np.integer[Any]]
"""(N,) classes, counted from 0."""
Precision = type[np.float32] | type[np.float64]
"""The number format in which weights are drawn, and so everything is computed."""
