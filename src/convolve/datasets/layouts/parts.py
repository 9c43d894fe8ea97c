"""What the layouts share: the usual names of splits, the order of names, listing folders, building a dataset."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from natsort import natsort_keygen, ns

from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages
from convolve.datasets.labels import Labels
from convolve.errors import DataError
from convolve.values import Dataset, GroundTruth, Images, Indices, Pixels

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".avif",
     ".heic")
)  # fmt: skip
"""What counts as an image by its name. (HEIC counts, although it cannot be read, so that it is named and not lost.)"""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "trainset"),
    "validation": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "testset", "eval", "evaluation", "t10k"),
}
SPLITS = tuple(_WORDS)
_MOST_FOLDERS = 12  # a folder of more folders holds classes, not a dataset wrapped in folders


def split_word(name: str) -> str | None:
    """`train`, `validation` or `test`, when ``name`` is a usual word for it, perhaps with a year (`val2017`)."""
    word = re.sub(r"[-_ ]?[0-9]+$", "", name.casefold())
    return next((split for split, words in _WORDS.items() if word in words), None)


_natural_key = natsort_keygen(alg=ns.IGNORECASE)


def natural(name: str) -> tuple[Any, str]:
    """A key that sorts `2` before `10`, and both before `a`, in upper or lower case; total, so that no order depends on
    the file system.
    """
    return _natural_key(name), name


def subfolders(folder: Path) -> list[Path]:
    """The folders inside that are not hidden, in natural order."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise DataError(f"{folder} cannot be opened ({error.strerror}); check its permissions.") from error
    return [folder / name for name in sorted(names, key=natural) if name != "__MACOSX"]


def image_files(folder: Path) -> list[str]:
    """Paths below ``folder`` of all images in it, however deep, in natural order; hidden ones are left out."""
    found: list[str] = []
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        visited.add(os.path.realpath(parent))
        visible = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        paths = [os.path.join(parent, name) for name in visible]  # noqa: PTH118 - os.walk gives text
        again = {path for path in paths if os.path.islink(path) and os.path.realpath(path) in visited}  # noqa: PTH114
        folders[:] = [name for name, path in zip(visible, paths, strict=True) if path not in again]
        below = os.path.relpath(parent, folder)
        for name in files:
            suffix = os.path.splitext(name)[1]  # noqa: PTH122 - 10x as fast
            if suffix.casefold() in IMAGE_SUFFIXES and not name.startswith("."):
                found.append(name if below == "." else f"{below}/{name}".replace(os.sep, "/"))
    return sorted(found, key=natural)


def find(root: Path, test: Callable[[Path], bool]) -> Path | None:
    """The folder that passes the test: ``root``, or one inside it, or one inside that; the nearest.

    Raises `DataError` when two are equally near.
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
        level = [folder for folders in inside if len(folders) <= _MOST_FOLDERS for folder in folders]
    return None


def contents(folder: Path) -> str:
    """The first few names in a folder, for a sentence."""
    visible = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    entries = sorted((entry.name + "/" * entry.is_dir() for entry in visible), key=natural)
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
    """One split in memory: ``images`` (N, H, W, C), ``values`` (N,) class indices, ``label`` its file."""

    split: str
    label: str
    images: Pixels
    values: Indices


def labeled_arrays(root: Path, layout: str, reason: str, parts: Sequence[Part], classes: Sequence[str]) -> Dataset:
    """A dataset of images in memory, one label each. Raises `DataError` when images and labels do not go together."""
    for part in parts:
        if len(part.images) != len(part.values):
            raise DataError(f"{part.label} in {root} holds {len(part.images)} images, but {len(part.values)} labels.")
    values = np.concatenate([part.values for part in parts]).astype(np.int64)
    images = join_arrays([ImageArray(part.images, part.label) for part in parts])
    splits = [part.split for part in parts for _ in part.values]
    return build_dataset(root, layout, reason, images, splits, {"labels": Labels(values, tuple(classes))})


def join_arrays(arrays: Sequence[ImageArray]) -> Images:
    """All of them, one after another."""
    return arrays[0] if len(arrays) == 1 else JoinedImages(tuple(arrays))


def labeled_files(
    root: Path, layout: str, reason: str, rows: Sequence[tuple[str, str | None, int]], classes: Sequence[str]
) -> Dataset:
    """A dataset of files, one label each, from rows of (path below ``root``, split, class index)."""
    labels = Labels(np.array([row[2] for row in rows], dtype=np.int64), tuple(classes))
    images = ImageFiles(root, tuple(row[0] for row in rows))
    return build_dataset(root, layout, reason, images, [row[1] for row in rows], {"labels": labels})


def build_dataset(
    root: Path,
    layout: str,
    reason: str,
    images: Images,
    splits: Sequence[str | None],
    ground_truths: Mapping[str, GroundTruth],
) -> Dataset:
    """A dataset of N images with the layout's ``splits`` (N,); one split alone is none, and the reason says so."""
    found = {word: np.flatnonzero([split == word for split in splits]) for word in SPLITS}
    given = {word: indices.astype(np.int64) for word, indices in found.items() if len(indices)}
    if len(given) == 1:
        reason, given = f"{reason}; only its {next(iter(given))} part is there", {}
    return Dataset(str(root), layout, reason, images, ground_truths, given)
