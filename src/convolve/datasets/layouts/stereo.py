"""Stereo pairs: left and right images of the same names, in neighboring folders or with a suffix."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import PurePosixPath
from unicodedata import normalize

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, natural
from convolve.datasets.layouts.parts import build_dataset, split_word
from convolve.datasets.stereo_pairs import StereoPairs
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "stereo"
EXPECTED = "left/ and right/ with images of the same names, with --layout stereo"
MARK = re.compile(r"(?!)")
"""Nothing tells it: it is asked only by its name."""
_ARRAYS = re.compile(r"\.(npz|npy|pfm)$", re.IGNORECASE)
_DISPARITY = re.compile(r"disps?|disparity|disparities")
_LEFT, _RIGHT, _TRUE = "left", "right", "disparity"

_Key = tuple[str, ...]


def recognize(inventory: Inventory) -> Dataset | None:
    """The pairs, or None where there is none.

    Files belong together whose paths have the same words but for `left`, `right` and `disp` (or `disparity`):
    `left/7.png`, `right/7.png` and `disp/7.pfm`, or `7_left.png`, `7_right.png` and `7_disp.npz`. Disparities are those
    of the left image. Raises `DataError` where two files are one image by their names.
    """
    files = [*inventory.images, *(name for name in inventory.files if _ARRAYS.search(name))]
    found = defaultdict[str, dict[_Key, str]](dict)
    for name in files:
        key, part = _key(name)
        if part and (other := found[part].setdefault(key, name)) != name:
            raise DataError(f"In {inventory.root} {other} and {name} are one image by their names; remove one.")
    keys = sorted((key for key in found[_LEFT] if key in found[_RIGHT]), key=lambda key: natural(found[_LEFT][key]))
    if not keys:
        return None
    left, right = (tuple(found[part][key] for key in keys) for part in (_LEFT, _RIGHT))
    true = tuple(found[_TRUE].get(key) for key in keys)
    known = tuple(filter(None, true))
    images = ImageFiles(inventory.root, left)
    pairs = StereoPairs(images, ImageFiles(inventory.root, right), true)
    reason = f"{len(keys):,} stereo pairs, {len(known):,} with disparities"
    splits = [next(filter(None, map(split_word, PurePosixPath(name).parts[:-1])), None) for name in left]
    dataset = build_dataset(inventory.root, NAME, reason, images, splits, {"stereo": pairs})
    unpaired = sorted({*files}.difference(left, right, known), key=natural)
    note = f"left out: {len(unpaired):,} files without a counterpart, such as {', '.join(unpaired[:NAMED])}"
    return replace(dataset, notes=(note,) if unpaired else (), annotations=(*right, *known), left_out=tuple(unpaired))


def _key(path: str) -> tuple[_Key, str]:
    """The words by which the files of a pair are called, and what this one is of it; nothing where it is no part."""
    parts = PurePosixPath(path).with_suffix("").parts
    words = [word for part in parts for word in re.split(r"[-_. ]+", normalize("NFC", part).casefold()) if word]
    sides = {word for word in words if word in (_LEFT, _RIGHT)}
    rest = tuple(word for word in words if word not in sides and not _DISPARITY.fullmatch(word))
    if _ARRAYS.search(path) or any(map(_DISPARITY.fullmatch, words)):
        return rest, "" if _RIGHT in sides else _TRUE
    return rest, sides.pop() if len(sides) == 1 else ""
