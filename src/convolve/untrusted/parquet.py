"""Opening Parquet files of unknown origin by pyarrow, where it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from convolve.untrusted.files import read_start

_MAGIC: Final = b"PAR1"
_BUFFER: Final = 2**20
_FREE: Final = 2**28  # bytes that a group may unpack to, whatever it takes in the file
_VOUCHED: Final = 256  # further bytes for each byte in the file


@contextmanager
def open_parquet(path: str | os.PathLike[str]) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile`, which reads a group of rows at a time and checks the sums of its pages.

    Raises `OSError` for what is no regular file, and `ValueError` for whatever is wrong with its content, also where
    that shows in the block. Raises `ImportError` without pyarrow.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    start = read_start(path, len(_MAGIC))
    if start != _MAGIC:
        raise ValueError(f"it begins with {start!r} rather than {_MAGIC!r}")
    try:
        with ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True) as file:
            _check_sizes(file.metadata, os.stat(path).st_size)  # noqa: PTH116 - a string may come
            yield file
    except (ArrowException, OSError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or "it needs more memory than there is") from error


def _check_sizes(metadata: Any, length: int) -> None:
    """By groups: what pyarrow says of a column's part of one ends the process where it is damaged."""
    for number in range(metadata.num_row_groups):
        size = metadata.row_group(number).total_byte_size
        if not 0 <= size <= _FREE + _VOUCHED * length:
            raise ValueError(f"it announces {size:,} bytes in a file of {length:,}")
