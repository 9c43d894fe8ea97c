"""Labels in MATLAB files: the Oxford flowers (Nilsback and Zisserman 2008) and SVHN (Netzer et al. 2011)."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import Part, find_folder, labeled_arrays, labeled_files
from convolve.errors import DataError
from convolve.untrusted.files import read_file
from convolve.untrusted.matlab import read_mat
from convolve.values import Dataset, Indices

NAME = "matlab"
EXPECTED = "jpg/ with imagelabels.mat (Oxford flowers), or train_32x32.mat (SVHN)"
MARK = re.compile(r"(^|/)(imagelabels|(train|test)_32x32)\.mat$")
_SETS = (("train", "trnid"), ("validation", "valid"), ("test", "tstid"))
_MOST = 2**20
"""Labels in one file; those of SVHN's largest are half as many."""


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder or in one below it, or None. Raises `DataError` for damaged files."""
    folder = find_folder(inventory, frozenset(("imagelabels.mat", "jpg")).issubset)
    if folder is not None:
        return _flowers(inventory.root / folder)
    folder = find_folder(inventory, lambda names: bool({"train_32x32.mat", "test_32x32.mat"} & names))
    return _house_numbers(inventory.root / folder) if folder is not None else None


def flower_names() -> tuple[str, ...]:
    """The English names of the 102 flowers, in the order of the labels."""
    return tuple(files("convolve.datasets.layouts").joinpath("flowers102.txt").read_text("utf-8").splitlines())


def _flowers(folder: Path) -> Dataset:
    path, sets_path = folder / "imagelabels.mat", folder / "setid.mat"
    labels = _as_whole(path, "labels", _load(path, "labels")[0], 1, len(flower_names()))
    sets: dict[int, str] = {}
    if sets_path.is_file():
        ids = _load(sets_path, *(key for _, key in _SETS))
        for (split, key), part in zip(_SETS, ids, strict=True):
            sets |= dict.fromkeys(_as_whole(sets_path, key, part, 1, len(labels)).tolist(), split)
    rows = [
        (f"jpg/image_{number:05d}.jpg", sets.get(number), label - 1)
        for number, label in enumerate(labels.tolist(), start=1)
    ]
    return labeled_files(folder, NAME, "the Oxford flowers' imagelabels.mat and jpg/", rows, flower_names())


def _house_numbers(folder: Path) -> Dataset:
    parts = []
    for split in ("train", "test"):
        path = folder / f"{split}_32x32.mat"
        if path.is_file():
            images, labels = _load(path, "X", "y")
            images = images[..., None] if images.ndim == 3 else images  # MATLAB writes no last size of 1
            if images.dtype != np.uint8 or images.shape[:-1] != (32, 32, 3) or labels.size != images.shape[-1]:
                sizes = f"{list(images.shape)} and {list(labels.shape)}"
                raise DataError(f"{path} has no 32x32x3xN bytes X with N labels y, but {sizes}; copy it again.")
            values = _as_whole(path, "y", labels, 0, 10) % 10  # the digit 0 is stored as 10
            parts.append(Part(split, path.stem, np.ascontiguousarray(images.transpose(3, 0, 1, 2)), values))
    return labeled_arrays(folder, NAME, "SVHN's files of 32x32 digits", parts, [str(digit) for digit in range(10)])


def _load(path: Path, *keys: str) -> list[npt.NDArray[Any]]:
    try:
        content = read_mat(read_file(path), keys)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged or lacks {', '.join(keys)} ({error}); copy it again.") from error
    return [content[key] for key in keys]


def _as_whole(path: Path, key: str, numbers: npt.NDArray[Any], lowest: int, highest: int) -> Indices:
    """(N,) numbers from ``lowest`` to ``highest``. Raises `DataError` for others, and for more than any set has."""
    flat = numbers.ravel()
    if flat.size > _MOST or not ((flat >= lowest) & (flat <= highest)).all() or (flat % 1 != 0).any():
        raise DataError(f"{path} has {key} that are no whole numbers from {lowest} to {highest}; copy it again.")
    return flat.astype(np.int64)
