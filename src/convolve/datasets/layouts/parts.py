"""What the layouts share: the usual names of splits, the order of names, looking about, making a dataset."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages
from convolve.errors import DataError
from convolve.values import Dataset, Indices, Labels, Pixels

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".avif",
        ".heic",
    )
)
"""What counts as a picture by its name. (HEIC counts, although it cannot be read, so that it is named and not lost.)"""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "trainset"),
    "validation": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "testset", "eval", "evaluation", "t10k"),
}
SPLITS = tuple(_WORDS)
_LOOK_IN = 12  # a folder of more folders holds classes, not a dataset wrapped in folders


def split_word(name: str) -> str | None:
    """`train`, `validation` or `test`, when ``name`` is a usual word for it, perhaps with a year (`val2017`)."""
    word = re.sub(r"[-_ ]?[0-9]+$", "", name.casefold())
    return next((split for split, words in _WORDS.items() if word in words), None)


def natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A key that sorts `2` before `10`, and both before `a`."""
    pieces = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    digits = [piece[0] in "0123456789" for piece in pieces]
    return [
        (not number, int(piece) if number else 0, piece) for piece, number in zip(pieces, digits, strict=True)
    ], name


def readable(name: str) -> str:
    """A class's name in composed Unicode, so that one name from two systems is one class."""
    return unicodedata.normalize("NFC", name)


def subfolders(folder: Path) -> list[Path]:
    """The folders inside that are not hidden, in natural order."""
    found = [entry for entry in _entries(folder) if entry.is_dir() and entry.name != "__MACOSX"]
    return sorted((Path(entry.path) for entry in found), key=lambda path: natural(path.name))


def image_files(folder: Path) -> list[str]:
    """Paths below ``folder`` of all pictures in it, however deep, in natural order; hidden ones are left out."""
    found: list[str] = []
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = [name for name in folders if _visible(name) and _new(place, name, seen)]
        below = os.path.relpath(place, folder)
        found += [name if below == "." else f"{below}/{name}".replace(os.sep, "/") for name in files if _picture(name)]
    return sorted(found, key=natural)


def find(root: Path, test: Callable[[Path], bool]) -> Path | None:
    """The folder that passes the test: ``root``, or one inside it, or one inside that; the nearest.

    Raises `DataError` when two stand equally near.
    """
    level = [root]
    for _ in range(3):
        found = [folder for folder in level if test(folder)]
        if len(found) > 1:
            names = ", ".join(str(folder) for folder in found)
            raise DataError(f"{root} holds {len(found)} datasets; give the one that you want: {names}.")
        if found:
            return found[0]
        inside = [subfolders(folder) for folder in level]
        level = [folder for folders in inside if len(folders) <= _LOOK_IN for folder in folders]
    return None


def seen(place: Path) -> str:
    """The first few names that a folder holds, for a sentence."""
    entries = sorted((entry.name + "/" * entry.is_dir() for entry in _entries(place)), key=natural)
    rest = f" and {len(entries) - 6} more" if len(entries) > 6 else ""
    return (", ".join(entries[:6]) + rest) or "nothing"


def read_lines(path: Path) -> list[str]:
    """The lines of a small UTF-8 text that are not empty. Raises `DataError`."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); copy or save it again.") from error


@dataclass(frozen=True, eq=False)
class Part:
    """One split that a layout keeps in memory: ``images`` (N, H, W, C), ``values`` (N,) class indices, ``label`` its
    file.
    """

    split: str
    label: str
    images: Pixels
    values: Indices


def from_arrays(root: Path, layout: str, reason: str, parts: Sequence[Part], classes: Sequence[str]) -> Dataset:
    """A dataset of images in memory. Raises `DataError` when images and labels do not go together."""
    for part in parts:
        if len(part.images) != len(part.values):
            raise DataError(f"{part.label} in {root} holds {len(part.images)} images, but {len(part.values)} labels.")
    splits = np.concatenate([np.full(len(part.values), part.split, dtype=object) for part in parts])
    arrays = tuple(ImageArray(part.images, part.label) for part in parts)
    images = arrays[0] if len(arrays) == 1 else JoinedImages(arrays)
    labels = Labels(np.concatenate([part.values for part in parts]).astype(np.int64), tuple(classes))
    given, remark = _given(list(splits))
    return Dataset(str(root), layout, reason + remark, images, labels, given)


def from_files(
    root: Path, layout: str, reason: str, rows: Sequence[tuple[str, str | None, int]], classes: Sequence[str]
) -> Dataset:
    """A dataset of files, one label each, from rows of (path below ``root``, split, class index)."""
    values = np.array([row[2] for row in rows], dtype=np.int64)
    return from_labels(root, layout, reason, [row[:2] for row in rows], Labels(values, tuple(classes)))


def from_labels(
    root: Path, layout: str, reason: str, rows: Sequence[tuple[str, str | None]], labels: Labels
) -> Dataset:
    """A dataset of files from rows of (path below ``root``, split), whose labels stand in the same order."""
    given, remark = _given([split for _, split in rows])
    images = ImageFiles(root, tuple(name for name, _ in rows))
    return Dataset(str(root), layout, reason + remark, images, labels, given)


def _given(splits: Sequence[str | None]) -> tuple[dict[str, Indices], str]:
    """What a layout assigns, and a remark; one part alone is no division, so it assigns nothing."""
    found = {word: np.flatnonzero([split == word for split in splits]) for word in SPLITS}
    given = {word: indices.astype(np.int64) for word, indices in found.items() if len(indices)}
    if len(given) == 1:
        return {}, f"; only its {next(iter(given))} part is there"
    return given, ""


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if _visible(entry.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be opened ({error.strerror}); check its permissions.") from error


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _picture(name: str) -> bool:
    return _visible(name) and os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES  # noqa: PTH122 - ten times faster


def _new(place: str, name: str, seen: set[str]) -> bool:
    path = os.path.join(place, name)  # noqa: PTH118 - os.walk gives text
    return name != "__MACOSX" and not (os.path.islink(path) and os.path.realpath(path) in seen)  # noqa: PTH114
