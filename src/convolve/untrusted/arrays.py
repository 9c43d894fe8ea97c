"""Reading NumPy's files and portable float maps: numbers alone, as many as the file has."""

from __future__ import annotations

import io
import math
import os
import re
import zipfile
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.compression import check_ratio
from convolve.untrusted.files import read_file

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_MOST_ARRAYS: Final = 1_000
_PFM: Final = re.compile(rb"P([fF])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[0-9.]{1,20}(?:[eE][-+]?\d{1,3})?)\s")
_PFM_HEADER: Final = 256  # bytes


def read_npy(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array in a `.npy` file. Raises `OSError`, and `ValueError` for a damaged one and for one of objects."""
    return parse_npy(read_file(path))


def parse_npy(content: bytes) -> npt.NDArray[Any]:
    """The array of a `.npy` file's content. Raises `ValueError` for a damaged one and for one of objects."""
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


def read_npz(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays in a `.npz` file by name. Raises `OSError`, and `ValueError` for a damaged one, for one that announces
    more than its bytes vouch for, and for one of objects.
    """
    content = read_file(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            if len(members) > _MOST_ARRAYS:
                raise ValueError(f"it holds {len(members):,} arrays")
            check_ratio(sum(member.file_size for member in members), len(content))
            return {member.filename[:-4]: parse_npy(_read_member(archive, member)) for member in members}
    except ValueError:
        raise
    except Exception as error:  # a damaged archive can raise anything
        raise ValueError("it is no file of NumPy's, or it is damaged") from error


def read_pfm(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """(H, W) or (H, W, 3) the numbers in a portable float map, whose rows the file has from the bottom up. Raises
    `OSError`, and `ValueError` for a damaged one.
    """
    content = read_file(path)
    header = _PFM.match(content[:_PFM_HEADER])
    if not header:
        raise ValueError("it is no portable float map, or its header is damaged")
    width, height = int(header[2]), int(header[3])
    shape = (height, width, 3) if header[1] == b"F" else (height, width)
    if 4 * math.prod(shape) != len(content) - header.end() or not math.prod(shape):
        raise ValueError(f"its header announces {width}x{height} pixels, and it holds {len(content):,} bytes")
    order = "<" if header[4].startswith(b"-") else ">"
    values = np.frombuffer(content, f"{order}f4", offset=header.end()).reshape(shape)
    return np.ascontiguousarray(values[::-1], np.float32)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"its {member.filename} is compressed in another way than NumPy does")
    with archive.open(member) as opened:
        content = opened.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise ValueError(f"its {member.filename} is cut short, or longer than announced")
    return content
