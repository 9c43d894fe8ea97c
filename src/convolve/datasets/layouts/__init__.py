"""Layouts: how datasets are kept on disk, recognized by looking.

Each file has its ``NAME``; ``EXPECTED``, a few words on what it looks for; ``MARK``, which one of the files in a folder
must match for it to be asked at all; and `recognize(inventory) -> Dataset | None`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

import numpy as np

from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, take_inventory
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import (
    catalog,
    cifar,
    class_index,
    coco,
    cvat,
    folders,
    idx,
    imagenet,
    label_studio,
    labelme,
    masks,
    matlab,
    names,
    parquet,
    pets,
    stacks,
    supervisely,
    tables,
    tiff_pages,
    via,
)
from convolve.datasets.layouts.image_finder import folders_of_images
from convolve.datasets.layouts.mask_pairs import is_mask
from convolve.datasets.layouts.parts import contents
from convolve.datasets.masks import Masks
from convolve.datasets.reading import BY_LOOKING, ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset, Indices

_CERTAIN = (idx, cifar, matlab, pets, imagenet)
"""Those with fixed names: what is wrong with their files is wrong with the data."""
LAYOUTS = (
    *_CERTAIN, parquet, tables, coco, labelme, supervisely, cvat, via, label_studio, stacks, masks, names, folders,
)  # fmt: skip
"""In the order in which they go first; folders that could mean anything last."""
LAYOUT_NAMES = tuple(layout.NAME for layout in LAYOUTS)
_GUESSED = frozenset((tables.NAME, names.NAME, folders.NAME))  # what looks so can be something else
_MOST = 0.5  # of the images that any layout explains, at least
_ALIKE = 0.9
"""Two layouts that explain almost as many images as this fraction of each other's are equally likely."""


def open_dataset(path: str | Path, options: ReadingOptions = BY_LOOKING) -> Dataset:
    """Open a folder, a table, an IDX file or a built-in dataset (`catalog.NAMES`); such a folder goes first.

    `Dataset.reason` says by what the layout was recognized, `Dataset.notes` what is left out. Raises `DataError` naming
    what was expected and what is there, also where two layouts explain the data equally well.
    """
    if options.layout is not None and options.layout not in LAYOUT_NAMES:
        raise DataError(f"There is no layout '{options.layout}'; choose one of {', '.join(LAYOUT_NAMES)}.")
    columns = options.image_column or options.label_column
    implied = tables.NAME if columns else names.NAME if options.label_from else None
    options = replace(options, layout=options.layout or implied)
    folder = Path(os.path.expanduser(path))  # noqa: PTH111 - of an unknown user it stays as it is
    if not folder.exists():
        if str(path) == "digits":
            return catalog.digits()
        if str(path) not in catalog.NAMES:
            raise DataError(_no_such_dataset(str(path)))
        folder = catalog.locate(str(path))
    dataset = _recognize(take_inventory(folder, options)) if folder.is_dir() else _open_file(folder, options)
    if not len(dataset):
        raise DataError(f"{folder} names no image; add some.")
    if isinstance(dataset.images, ImageFiles):
        files = (*dataset.images.names, *dataset.annotations)
        if tiffs := [name for name in files if name.casefold().endswith(tiff_pages.SUFFIXES)]:
            pages = tiff_pages.describe_pages(dataset.images.root, tiffs)
            dataset = replace(dataset, notes=(*dataset.notes, *pages))
    return dataset


def _open_file(path: Path, options: ReadingOptions) -> Dataset:
    suffix = path.suffix.casefold()
    if suffix in tables.SUFFIXES:
        try:
            return tables.open_file(path, options)
        except DataError:
            if suffix == ".csv" and (dataset := _open_annotations(path, options)):
                return dataset
            raise
    if parquet.MARK.search(suffix):
        return parquet.open_file(path, options)
    if suffix == ".json" and (dataset := coco.open_file(path, options)):
        return dataset
    if suffix in (".json", ".xml") and (dataset := _open_annotations(path, options)):
        return dataset
    if dataset := idx.open_file(path):
        return dataset
    raise DataError(
        f"{path} is neither a table (.csv, .tsv, .txt, .jsonl, .parquet), nor annotations (.json, .xml), nor an IDX "
        "images file; unpack an archive first."
    )


def _open_annotations(path: Path, options: ReadingOptions) -> Dataset | None:
    """The dataset of one file of annotations, whose images are next to it or one folder above."""
    obstacles: list[DataError] = []
    for root in folders_of_images(path):
        inventory = replace(take_inventory(root, options), files=(path.relative_to(root).as_posix(),))
        for layout in (labelme, cvat, via, label_studio):
            if layout.MARK.search(path.name):
                try:
                    dataset: Dataset | None = layout.recognize(inventory)
                except DataError as error:
                    obstacles.append(error)
                else:
                    if dataset:
                        return dataset
        if not obstacles:
            return None
    raise obstacles[0]


def _recognize(inventory: Inventory) -> Dataset:
    """By the layout that explains most of the images; where none fits, the same for the only folder inside, as archives
    are often unpacked.
    """
    readings, obstacles = [], {}
    for layout in LAYOUTS:
        marked = layout.MARK is None or any(map(layout.MARK.search, chain(inventory.files, inventory.images)))
        if inventory.options.layout == layout.NAME or (marked and inventory.options.layout is None):
            try:
                dataset: Dataset | None = layout.recognize(inventory)
            except DataError as error:
                if layout in _CERTAIN:
                    raise
                obstacles[layout.NAME] = str(error)
            else:
                readings += [dataset] if dataset else []
    if readings:
        return _choose(inventory, readings, obstacles)
    if obstacles:
        raise DataError(" ".join(obstacles.values()))
    inside = {path.partition("/")[0] for path in (*inventory.images, *inventory.files) if "/" in path}
    if len(inside) != 1:
        raise DataError(_no_such_layout(inventory))
    dataset = _recognize(inventory.below(inside.pop()))
    lists = [file for file in inventory.files if "/" not in file and class_index.MARK.search(file)]
    return class_index.name_classes(replace(inventory, files=tuple(lists)), dataset) if lists else dataset


def _choose(inventory: Inventory, readings: Sequence[Dataset], obstacles: Mapping[str, str]) -> Dataset:
    """The first reading that explains most of the images, with the masks that another one has of them. Raises
    `DataError` where a second one explains them as well and puts them into other classes.
    """
    explained = []
    for dataset in readings:
        names: Sequence[str] = inventory.images  # all of them, where other files are read
        if isinstance(dataset.images, ImageFiles):
            below = os.path.relpath(dataset.root, inventory.root).replace(os.sep, "/")
            read = (*dataset.images.names, *dataset.annotations)
            names = read if below == "." else [f"{below}/{name}" for name in read]
        explained.append(frozenset(names).intersection(inventory.images))
    most = max(map(len, explained))
    index = next(index for index, images in enumerate(explained) if len(images) >= _MOST * most)
    dataset, images = readings[index], explained[index]
    if dataset.layout == folders.NAME and masks.NAME in obstacles:  # folders of images and of masks are no classes
        raise DataError(obstacles[masks.NAME])
    notes = [f"{name} was not taken: {why}" for name, why in obstacles.items() if name != folders.NAME]
    for other, others in zip(readings, explained, strict=True):
        if other is dataset:
            continue
        rivals = {dataset.layout, other.layout} <= _GUESSED and len(others) >= _ALIKE * len(images)
        if rivals and _differ(dataset, other):
            raise DataError(
                f"{inventory.root} can be read as {dataset.layout} ({dataset.reason}), or as {other.layout} "
                f"({other.reason}), which differ; choose --layout {dataset.layout} or --layout {other.layout}."
            )
        if "masks" in other.ground_truths and dataset.layout != folders.NAME:
            dataset = _join(dataset, other)
        elif len(others) < _MOST * len(images):
            notes.append(
                f"{other.layout} was not taken: it explains {len(others):,} of {len(inventory.images):,} images"
            )
    left = [image for image in inventory.images if image not in images]
    if left:
        notes.append(f"{len(left):,} of {len(inventory.images):,} images left out, such as {', '.join(left[:NAMED])}")
    return replace(dataset, notes=(*inventory.notes, *dataset.notes, *notes))


def _differ(one: Dataset, other: Dataset) -> bool:
    """Whether two readings put the images that both have into different classes, whatever these are called."""
    labels = [
        {path: int(value) for path, value in zip(_paths(dataset), found.values, strict=True)}
        for dataset in (one, other)
        if isinstance(found := dataset.ground_truths.get("labels"), Labels) and not found.multi_label
    ]
    if len(labels) < 2:
        return False
    pairs = {(value, labels[1][path]) for path, value in labels[0].items() if path in labels[1]}
    return any(len({pair[side] for pair in pairs}) < len(pairs) for side in (0, 1))


def _join(dataset: Dataset, other: Dataset) -> Dataset:
    """A dataset with the masks that another one has of the same images. What has a label is an image, even if it is
    called as masks are.
    """
    own, found = _paths(dataset), other.ground_truths["masks"]
    position = {file: index for index, file in enumerate(_paths(other))}
    indices: Indices = np.array([position.get(file, -1) for file in own], dtype=np.int64)
    whole = "masks" in dataset.ground_truths or any(map(is_mask, own))
    if whole or not isinstance(found, Masks) or not (indices >= 0).any():
        return dataset
    return replace(
        dataset,
        reason=f"{dataset.reason}; masks of {int((indices >= 0).sum())} of its images: {other.reason}",
        ground_truths={**dataset.ground_truths, "masks": found.take(indices)},
        annotations=other.annotations,
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


def _no_such_layout(inventory: Inventory) -> str:
    asked = [layout for layout in LAYOUTS if inventory.options.layout in (None, layout.NAME)]
    expected = "; ".join(layout.EXPECTED for layout in reversed(asked))
    found = f"Found there: {contents(inventory.root)}."
    if len(asked) == 1:
        return f"{inventory.root} cannot be read as {asked[0].NAME}, which is: {expected}. {found}"
    return f"{inventory.root} has none of the known layouts, which are: {expected}. {found}"
