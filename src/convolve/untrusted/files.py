"""Opening a file of unknown origin: never a pipe, a device or more than the memory holds."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

IMAGE_BYTES: Final = 2**28
"""The largest image file that is read: 256 MiB."""
DOCUMENT_BYTES: Final = 2**30
"""The largest table, annotation file or other document that is read: 1 GiB."""
_MEMORY: Final = Path("/proc/meminfo")
_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: str | os.PathLike[str], most: int = DOCUMENT_BYTES) -> bytes:
    """The content of a regular file. Raises `OSError` for anything else that has a path, such as a named pipe or a
    device, and for more than ``most`` bytes.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - several times as fast
    except ValueError as error:
        raise _impossible_name(path) from error
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path, status)
    size = status.st_size
    if size > most:
        raise _too_long(path, size, most)
    handle = os.open(path, _FLAGS)
    try:
        content = os.read(handle, size + 1)
        if len(content) == size:  # as nearly always
            return content
        parts, length = [content], len(content)
        while content and length <= most:  # one that grows, or that a system call did not read in one go
            content = os.read(handle, 2**24)
            parts.append(content)
            length += len(content)
    finally:
        os.close(handle)
    if length > most:
        raise _too_long(path, length, most)
    return b"".join(parts)


def read_text(path: str | os.PathLike[str], most: int = DOCUMENT_BYTES) -> str:
    r"""The text of a regular file in UTF-8, with or without a byte order mark; line ends become `\n`.

    Raises `OSError` as `read_file` does, and `UnicodeDecodeError`.
    """
    return read_file(path, most).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def read_start(path: str | os.PathLike[str], length: int) -> bytes:
    """The first bytes of a regular file. Raises `OSError` for anything else that has a path."""
    with open_file(path) as file:
        return file.read(length)


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A regular file to be read in pieces. Raises `OSError` for anything else that has a path."""
    try:
        status = os.stat(path)  # noqa: PTH116 - several times as fast
    except ValueError as error:
        raise _impossible_name(path) from error
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path, status)
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        yield file


def check_memory(file: IO[bytes]) -> None:
    """Raises `OSError` for a file of more bytes than the memory has free, where the system tells how many these are."""
    size = os.fstat(file.fileno()).st_size
    try:
        found = re.search(rb"MemAvailable: *([0-9]+) kB", _MEMORY.read_bytes())
    except OSError:
        return
    if found and size > 1024 * int(found[1]):
        raise OSError(errno.EFBIG, f"it holds {size:,} bytes, more than the memory has free")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a regular file has that path; False for a path that no file can have, as one that is too long."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - several times as fast
    except (OSError, ValueError):
        return False


def _impossible_name(path: str | os.PathLike[str]) -> OSError:
    return OSError(errno.EINVAL, "no file can be called so", os.fspath(path))


def _not_regular(path: str | os.PathLike[str], status: os.stat_result) -> OSError:
    if stat.S_ISDIR(status.st_mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
    return OSError(errno.EINVAL, f"it is {kind}, not a file", os.fspath(path))


def _too_long(path: str | os.PathLike[str], size: int, most: int) -> OSError:
    return OSError(errno.EFBIG, f"it holds {size:,} bytes, more than the {most:,} that are read", Path(path).name)
