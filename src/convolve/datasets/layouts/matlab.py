"""Labels in MATLAB files: the Oxford flowers (Nilsback and Zisserman 2008) and SVHN (Netzer et al. 2011)."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import Part, find_folder, labeled_arrays, labeled_files
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "matlab"
EXPECTED = "jpg/ with imagelabels.mat (Oxford flowers), or train_32x32.mat (SVHN)"
MARK = re.compile(r"(^|/)(imagelabels|(train|test)_32x32)\.mat$")
_SETS = (("train", "trnid"), ("validation", "valid"), ("test", "tstid"))


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
    labels = _load(folder / "imagelabels.mat", "labels")[0].ravel().astype(np.int64) - 1
    sets: dict[int, str] = {}
    if (folder / "setid.mat").is_file():
        ids = _load(folder / "setid.mat", *(key for _, key in _SETS))
        sets = {int(number): split for (split, _), part in zip(_SETS, ids, strict=True) for number in part.ravel()}
    rows = [
        (f"jpg/image_{number:05d}.jpg", sets.get(number), int(label)) for number, label in enumerate(labels, start=1)
    ]
    return labeled_files(folder, NAME, "the Oxford flowers' imagelabels.mat and jpg/", rows, flower_names())


def _house_numbers(folder: Path) -> Dataset:
    parts = []
    for split in ("train", "test"):
        path = folder / f"{split}_32x32.mat"
        if path.is_file():
            images, labels = _load(path, "X", "y")
            values = labels.ravel().astype(np.int64) % 10  # the digit 0 is stored as 10
            parts.append(Part(split, path.stem, np.ascontiguousarray(images.transpose(3, 0, 1, 2)), values))
    return labeled_arrays(folder, NAME, "SVHN's files of 32x32 digits", parts, [str(digit) for digit in range(10)])


def _load(path: Path, *keys: str) -> list[Any]:
    from scipy.io import loadmat  # type: ignore[import-untyped]

    try:
        content = loadmat(str(path), variable_names=keys)
        return [content[key] for key in keys]
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"{path} is damaged or lacks {', '.join(keys)} ({error}); copy it again.") from error
