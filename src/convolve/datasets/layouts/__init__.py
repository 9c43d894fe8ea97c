"""Layouts: how datasets are kept on disk, recognized by looking. Each file has `recognize(path) -> Dataset | None` and
``EXPECTED``, a few words on what it looks for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.layouts import catalog, cifar, coco, folders, idx, masks, matlab, pets, stacks, tables
from convolve.datasets.layouts.parts import contents, subfolders
from convolve.datasets.masks import Masks
from convolve.errors import DataError
from convolve.values import Dataset, Indices

LAYOUTS = (idx, cifar, matlab, pets, tables, coco, stacks, masks, folders)
"""In the order in which they are tried: those with fixed names first, folders that could mean anything last."""
_MASKED = (coco, masks)
"""Those that may find masks of images that another layout has given labels."""


def open_dataset(path: str | Path) -> Dataset:
    """Open a folder, a table, an IDX file or a built-in dataset (`catalog.NAMES`); such a folder goes first.

    `Dataset.reason` says by what the layout was recognized. Raises `DataError` naming what was expected and what is
    there.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        if str(path) == "digits":
            return catalog.digits()
        if str(path) not in catalog.NAMES:
            raise DataError(_no_such_dataset(str(path)))
        folder = catalog.locate(str(path))
    dataset = _recognize(folder)
    if dataset is None:
        raise DataError(_no_such_layout(folder))
    if not len(dataset):
        raise DataError(f"{folder} names no image; add some.")
    return dataset


def _recognize(path: Path) -> Dataset | None:
    """By the first layout that fits; otherwise the same for the only folder inside, as archives are often unpacked."""
    for layout in LAYOUTS:
        dataset: Dataset | None = layout.recognize(path)
        if dataset is not None:
            complete = layout is folders or "masks" in dataset.ground_truths
            return dataset if complete else _with_masks(dataset, path)
    inside = subfolders(path) if path.is_dir() else []
    return _recognize(inside[0]) if len(inside) == 1 else None


def _with_masks(dataset: Dataset, path: Path) -> Dataset:
    """A dataset of labeled files, with the masks of the same images that another layout finds there, if any. What has a
    label is an image, even if it is called as masks are.
    """
    names = [dataset.images.name(index) for index in range(len(dataset))]
    if not isinstance(dataset.images, ImageFiles) or any(map(masks.is_mask, names)):
        return dataset
    for layout in _MASKED:
        try:
            other = layout.recognize(path)
        except DataError as error:  # the labels can be used all the same
            return replace(dataset, reason=f"{dataset.reason}; its masks cannot be used: {error}")
        if other is not None:
            return _join(dataset, other)
    return dataset


def _join(dataset: Dataset, other: Dataset) -> Dataset:
    """A dataset with the masks that another one has of the same images."""
    own, found = _paths(dataset), other.ground_truths["masks"]
    position = {file: index for index, file in enumerate(_paths(other))}
    indices: Indices = np.array([position.get(file, -1) for file in own], dtype=np.int64)
    if not isinstance(found, Masks) or not (indices >= 0).any():
        return dataset
    return replace(
        dataset,
        reason=f"{dataset.reason}; masks of {int((indices >= 0).sum())} of its images: {other.reason}",
        ground_truths={**dataset.ground_truths, "masks": found.take(indices)},
    )


def _paths(dataset: Dataset) -> Sequence[str]:
    return [
        os.path.abspath(Path(dataset.root, dataset.images.name(index)))  # noqa: PTH100 - links stay apart
        for index in range(len(dataset))
    ]


def _no_such_dataset(name: str) -> str:
    near = get_close_matches(name, catalog.NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give a folder, a table, or one of {', '.join(catalog.NAMES)}."
    return f"There is no file, folder or built-in dataset '{name}'; {hint}"


def _no_such_layout(path: Path) -> str:
    if path.is_file():
        return f"{path} is neither a table (.csv, .tsv, .txt) nor an IDX images file; unpack an archive first."
    expected = "; ".join(layout.EXPECTED for layout in reversed(LAYOUTS))
    return f"{path} has none of the known layouts, which are: {expected}. Found there: {contents(path)}."
