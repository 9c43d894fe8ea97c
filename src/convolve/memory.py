"""Too little memory: how it is recognized, whichever library found out, and whether libraries can be loaded at all."""

from __future__ import annotations

import errno
import importlib.util
import mmap
import os
import re
from pathlib import Path
from typing import Final

from convolve.errors import DataError

_LARGEST_IMAGE: Final = 2**28
"""Bytes of the largest image that is decoded at all (`untrusted.images`)."""
_DATA: Final = 1100
_ADDRESSES: Final = 1600
_ADDRESSES_WITH_GPUS: Final = 4200
"""Megabytes that a command takes before there is any image. Where a limit allows less, libraries end the process
without a word, or wait forever (OpenBLAS does)."""

_NO_FILES = (errno.EMFILE, errno.ENFILE)
_SENTENCES = re.compile(
    "|".join(
        (
            "(cannot|can't|failed to|unable to|could not|couldn't) (allocate|map)",  # the system, NumPy, torch, OpenCV
            "not enough memory|insufficient ?memory|out of memory",
            "memory allocation (failed|error)",
            "bad_alloc|bad allocation",
            "failed to map segment",  # the loader of shared libraries
            "could not create a memory object|could not create a primitive(?! descriptor)",  # oneDNN
            "can't start new thread",
            "codec configuration error when writing",  # Pillow, where zlib has no memory
        )
    ),
    re.IGNORECASE,
)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that led to it, comes from too little memory."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if _SENTENCES.search(str(error)):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def blame_machine(error: Exception, name: str) -> None:
    """Raise `DataError` where a file could not be read since the machine lacks memory or open files just now.

    Otherwise the file is to blame, even if its decoder has asked for more memory than there is.
    """
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno in _NO_FILES else ""
    try:
        mmap.mmap(-1, _LARGEST_IMAGE).close()
    except OSError:
        reason = "there is not enough memory"
    if reason:
        raise DataError(f"{name} cannot be read, since {reason}; close other programs and try again.") from error


def describe_low_limit() -> str | None:
    """A sentence where the limits of this process (`ulimit`) are too low for PyTorch."""
    try:
        import resource
    except ImportError:  # on Windows
        return None
    for number, flag, what in ((resource.RLIMIT_AS, "-v", "virtual memory"), (resource.RLIMIT_DATA, "-d", "data")):
        allowed = resource.getrlimit(number)[0]
        if allowed == resource.RLIM_INFINITY:
            continue
        needed = _needed_addresses() if number == resource.RLIMIT_AS else _DATA
        if allowed < needed * 10**6:
            return (
                f"There is not enough memory: this process may take {allowed / 1e6:,.0f} MB of {what}, but PyTorch "
                f"needs {needed:,} MB of it; raise the limit with `ulimit {flag}`."
            )
    return None


def _needed_addresses() -> int:
    """Megabytes that PyTorch's libraries are mapped to."""
    found = importlib.util.find_spec("torch")
    folders = found.submodule_search_locations or () if found else ()
    gpus = any(Path(folder, "lib", "libtorch_cuda.so").exists() for folder in folders)
    return _ADDRESSES_WITH_GPUS if gpus else _ADDRESSES


LOW_LIMIT: Final = describe_low_limit()
"""The sentence for this process, whose limits are those that it began with."""
