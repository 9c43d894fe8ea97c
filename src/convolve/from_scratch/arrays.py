"""The array types used throughout the package."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
"""float32 or float64, of the shape that the docstring gives."""
Labels = npt.NDArray[np.integer[Any]]
"""(N,) class indices from 0."""
DType = type[np.float32] | type[np.float64]
"""The number format of the parameters, and so of everything computed from them."""
