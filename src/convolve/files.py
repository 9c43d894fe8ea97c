"""Files written to a temporary name and renamed, so that a killed program leaves the old file or the new one."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from convolve.errors import ConvolveError, DataError

_STREAMS = ("/dev/", "/proc/")  # devices and open files of this process, among which only the system makes links
_MOST_LINKS = 40  # one after the other, as many as Linux follows


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder to write to, which replaces ``path`` when the block ends without error.

    A device and a pipe stay what they are, and take what was written. A link is replaced, and what it leads to stays as
    it is; `link_target` follows one that a person has named. Raises `ConvolveError` with one sentence when the disk is
    full or the folder cannot be written; the old file stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        special = path.exists() and not path.is_file() and not path.is_dir()
        stream = os.path.abspath(path).startswith(_STREAMS)  # noqa: PTH100 - links stay as they are
        lasting = stream or (special and not path.is_symlink())
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=None if lasting else path.parent)
    except OSError as error:
        raise ConvolveError(_sentence(path, error)) from error
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        if lasting:
            with draft.open("rb") as source, open(path, "wb", opener=_open_at_once) as target:
                os.set_blocking(target.fileno(), True)
                shutil.copyfileobj(source, target)
            return
        draft.chmod(0o644)
        fsync(draft)
        draft.replace(path)
        fsync(path.parent)
    except OSError as error:
        raise ConvolveError(_sentence(path, error)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def check_replaceable(path: Path, is_own: Callable[[Path], bool], own: str = "file that convolve wrote") -> None:
    """Raise `DataError` where something would be lost that convolve did not write, as ``is_own`` tells; ``own`` says
    what it would be then. A device and a pipe hold nothing.
    """
    if not path.is_file() and not path.is_dir():
        return
    try:
        replaceable = is_own(path)
    except (OSError, ValueError):  # a folder, or a file that may not be read, or is none of this kind
        replaceable = False
    if not replaceable:
        raise DataError(f"{path} exists, and is no {own}; choose another name, or remove it.")


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text; a file name's byte that is none becomes `\udcXX`, as JSON has it. Raises `ConvolveError`."""
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")


def append_text(path: Path, text: str) -> None:
    """Add UTF-8 text to a file's end; a link is replaced, and no pipe waited for. Raises `ConvolveError`."""
    try:
        if path.is_symlink():
            path.unlink()
        with open(path, "a", encoding="utf-8", opener=_open_itself) as file:
            file.write(text)
    except OSError as error:
        raise ConvolveError(_sentence(path, error)) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes. Raises `ConvolveError`."""
    with atomic_write(path) as draft:
        draft.write_bytes(content)


def fsync(path: Path) -> None:
    """Ask the system to bring a file, or a folder's list of files, to the disk; Windows can do so for files alone.

    Raises `OSError`.
    """
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shell_quote(path: Path | str) -> str:
    """A path as it is written in a command: quoted where a shell would take it apart, and never like an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def link_target(path: Path) -> Path:
    """Where the links of a path lead that a person has named as an output; `/dev/stdout` stays what it is."""
    for _ in range(_MOST_LINKS):
        if os.path.abspath(path).startswith(_STREAMS) or not path.is_symlink():  # noqa: PTH100
            break
        path = path.parent / path.readlink()
    return path


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def _open_at_once(path: str, flags: int) -> int:
    """A pipe that nobody reads is an error, and not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _sentence(path: Path, error: OSError) -> str:
    why = error.strerror or error
    return f"{path} cannot be written ({why}); free some space or choose another folder. Nothing was lost."
