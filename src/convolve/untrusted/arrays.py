"""Reading NumPy's files: numbers alone, as many as the file has."""

from __future__ import annotations

import io
import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.untrusted.files import read_file

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in a `.npy` file. Raises `OSError`, and `ValueError` for a damaged one and for one of objects."""
    content = read_file(path)
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        shape, by_columns, kind = _READERS[version](stream)
    except Exception as error:  # the header is an expression in Python, which can go wrong in every way
        raise ValueError("it is no file of NumPy's, or its header is damaged") from error
    if kind.hasobject:
        raise ValueError("it holds objects rather than numbers")
    if not all(type(side) is int for side in shape):  # True is one for NumPy
        raise ValueError(f"its header announces the shape {shape}, which is none")
    if math.prod(shape) * kind.itemsize != len(content) - stream.tell() or min(shape, default=0) < 0:
        raise ValueError(f"its header announces the shape {shape}, and it holds {len(content):,} bytes")
    values = np.frombuffer(content, kind, offset=stream.tell()) if math.prod(shape) else np.empty(0, kind)
    return values.reshape(shape, order="F" if by_columns else "C")
