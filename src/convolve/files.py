"""Files written beside their place and renamed, so that a killed program leaves the old one or the new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from convolve.errors import ConvolveError


@contextmanager
def beside(place: Path) -> Iterator[Path]:
    """A path to write to, in the same folder, which takes the place of ``place`` when the block ends well.

    Raises `ConvolveError` with one sentence when the disk is full or the folder cannot be written; the old file stays.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise ConvolveError(_sentence(place, error)) from error
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(0o644)
        settle(draft)
        draft.replace(place)
        settle(place.parent)
    except OSError as error:
        raise ConvolveError(_sentence(place, error)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def write_text(place: Path, text: str) -> None:
    r"""Write UTF-8 text; a file name's byte that is none becomes `\udcXX`, as JSON has it. Raises `ConvolveError`."""
    with beside(place) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")


def append_text(place: Path, text: str) -> None:
    """Add UTF-8 text to a file's end. Raises `ConvolveError`."""
    try:
        with place.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConvolveError(_sentence(place, error)) from error


def write_bytes(place: Path, content: bytes) -> None:
    """Write bytes. Raises `ConvolveError`."""
    with beside(place) as draft:
        draft.write_bytes(content)


def settle(place: Path) -> None:
    """Ask the system to bring a file, or a folder's list of files, to the disk; Windows can do so for files alone.

    Raises `OSError`.
    """
    folder = place.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(place, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sentence(place: Path, error: OSError) -> str:
    return (
        f"{place} cannot be written ({error.strerror or error}); make room or choose another folder. Nothing was lost."
    )
