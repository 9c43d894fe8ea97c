"""Layouts: how datasets are kept on disk, recognized by looking.

Each file has its ``NAME``; ``EXPECTED``, a few words on what it looks for; ``MARK``, which one of the files in a folder
must match for it to be asked at all; and `recognize(inventory) -> Dataset | None`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from types import ModuleType

from convolve.datasets.crops import CroppedImages
from convolve.datasets.images import ImageFiles
from convolve.datasets.inventory import NAMED, Inventory, take_inventory
from convolve.datasets.layouts import (
    box_tables,
    captions,
    catalog,
    cifar,
    class_index,
    coco,
    coco_keypoints,
    cvat,
    depth,
    folders,
    idx,
    imagenet,
    images,
    label_studio,
    labelme,
    masks,
    matlab,
    names,
    parquet,
    pets,
    point_tables,
    pts_files,
    stacks,
    stereo,
    supervisely,
    tables,
    tiff_pages,
    via,
    voc,
    yolo_text,
)
from convolve.datasets.layouts.image_finder import folders_of_images
from convolve.datasets.layouts.parts import NoGroundTruthError, contents
from convolve.datasets.layouts.readings import find_split_lists
from convolve.datasets.layouts.rivals import ANNOTATED, MOST, POINTS, has_boxes_alone, least_likely, refuse_guess, weigh
from convolve.datasets.reading import BY_LOOKING, ReadingOptions
from convolve.errors import LONGEST, UNPRINTABLE, DataError, escape_text, shorten
from convolve.files import shell_quote
from convolve.values import Dataset

_CERTAIN = (idx, cifar, matlab, pets, imagenet)
"""Those with fixed names: what is wrong with their files is wrong with the data."""
_NAMED = (ANNOTATED | {masks.NAME, *(layout.NAME for layout in _CERTAIN)}) - {yolo_text.NAME}
"""Layouts that name what they show, which YOLO's numbers without a list of classes do not."""
LAYOUTS = (
    *_CERTAIN, parquet, tables, coco, labelme, supervisely, cvat, via, label_studio, voc, box_tables, yolo_text,
    coco_keypoints, point_tables, pts_files, stacks, masks, folders, names, images, captions, depth,
    stereo,
)  # fmt: skip
"""In the order in which they go first; folders and names that could mean anything last."""
LAYOUT_NAMES = tuple(layout.NAME for layout in LAYOUTS)
YIELDING: Mapping[str, Sequence[str]] = {"points": [name for name in LAYOUT_NAMES if name in POINTS]}
"""By their ground truth, the layouts that are not taken where others explain the images too."""
WITH_ANNOTATIONS = frozenset(
    layout.NAME
    for layout in (tables, coco, cvat, via, label_studio, box_tables, coco_keypoints, point_tables, captions)
)
"""The layouts whose files a person may choose by `--annotations`."""


def open_dataset(path: str | Path, options: ReadingOptions = BY_LOOKING) -> Dataset:
    """Open a folder, a table, an IDX file or a built-in dataset (`catalog.NAMES`); such a folder goes first.

    `Dataset.reason` says by what the layout was recognized, `Dataset.notes` what is left out. Raises `DataError` naming
    what was expected and what is there, also where two layouts explain the data equally well.
    """
    heeded, candidates = _by_options(options) if options != BY_LOOKING else ({}, LAYOUTS)
    folder = Path(os.path.expanduser(path))  # noqa: PTH111 - of an unknown user it stays as it is
    dataset = catalog.digits() if str(path) == "digits" and not folder.exists() else None
    if dataset is None and not folder.exists():
        if str(path) not in catalog.NAMES:
            raise DataError(_no_such_dataset(str(path)))
        folder = catalog.locate(str(path))
    if dataset is None:
        if (folder / "manifest.json").is_file() and (folder / "recipe.toml").is_file():
            raise DataError(
                f"{folder} is a run, and no data; give the data that its recipe.toml names, or look for wrong labels "
                f"there with convolve data {shell_quote(folder)} --label-errors."
            )
        inside = take_inventory(folder, options) if folder.is_dir() else None
        dataset = _recognize(inside, candidates) if inside else _open_file(folder, options)
    if not len(dataset):
        raise DataError(f"{folder} names no image; add some.")
    if heeded:
        _check_heeded(dataset, heeded)
    files = (*dataset.images.names, *dataset.annotations) if isinstance(dataset.images, ImageFiles) else ()
    if tiffs := [name for name in files if tiff_pages.MARK.search(name)]:
        pages = tiff_pages.describe_pages(Path(dataset.root), tiffs)
        dataset = replace(dataset, notes=(*dataset.notes, *pages))
    said = (dataset.reason, *dataset.notes)
    if any(map(UNPRINTABLE.search, said)) or max(map(len, said)) > LONGEST:
        reason, *notes = (escape_text(shorten(each, LONGEST)) for each in said)
        return replace(dataset, reason=reason, notes=tuple(notes))
    return dataset


def open_with_ground_truth(path: str | Path, name: str, layout: str | None = None) -> Dataset:
    """`open_dataset`, perhaps by a ``layout``, but of data whose ground truth of that name gives way to another
    (`YIELDING`) with that one.
    """
    dataset = open_dataset(path, ReadingOptions(layout=layout))
    for layout in YIELDING.get(name, ()) if name not in dataset.ground_truths else ():
        with suppress(DataError):
            return open_dataset(path, ReadingOptions(layout=layout))
    return dataset


def _by_options(options: ReadingOptions) -> tuple[dict[str, list[ModuleType]], Sequence[ModuleType]]:
    """The layouts that heed each of the options that are given, and those that can be meant. Raises `DataError`."""
    given = (
        ("--layout", options.layout, [layout for layout in LAYOUTS if options.layout == layout.NAME]),
        ("--annotations", options.annotations, [layout for layout in LAYOUTS if layout.NAME in WITH_ANNOTATIONS]),
        ("--image-column", options.image_column, [tables, parquet]),
        ("--label-column", options.label_column, [tables, parquet, via, label_studio, box_tables]),
        ("--label-from", options.label_from, [names]),
        ("--depth-scale", options.depth_scale, [depth]),
    )
    heeded = {
        f"{option} {' '.join(value) if isinstance(value, tuple) else value}": layouts
        for option, value, layouts in given
        if value is not None
    }
    if [] in heeded.values():
        raise DataError(f"There is no layout '{options.layout}'; choose one of {', '.join(LAYOUT_NAMES)}.")
    candidates = list(LAYOUTS)
    for layouts in heeded.values():
        candidates = [layout for layout in candidates if layout in layouts] or candidates
    return heeded, candidates


def _check_heeded(dataset: Dataset, heeded: Mapping[str, Sequence[ModuleType]]) -> None:
    """Raise `DataError` for an option that says nothing of how a dataset was read."""
    for option, layouts in heeded.items():
        if dataset.layout not in [layout.NAME for layout in layouts]:
            said = f"{option} says nothing; leave it out"
            raise DataError(f"{dataset.root} is read as {dataset.layout} ({dataset.reason}), where {said}.")


def _open_file(path: Path, options: ReadingOptions) -> Dataset:
    if options.annotations is not None:
        raise DataError(f"{path} is one file, where --annotations says nothing; leave it out, or give the folder.")
    if options.layout == captions.NAME:
        return captions.open_file(path, options)
    suffix = path.suffix.casefold()
    if suffix in tables.SUFFIXES:
        return _open_table(path, options)
    if parquet.MARK.search(suffix):
        return parquet.open_file(path, options)
    if suffix == ".json":
        reader = coco_keypoints if options.layout == coco_keypoints.NAME else coco
        found: Dataset | None = reader.open_file(path, options)
        if found:
            return found
    if suffix in (".json", ".xml") and (dataset := _open_annotations(path, options)):
        return dataset
    if dataset := idx.open_file(path):
        return dataset
    raise DataError(
        f"{path} is neither a table (.csv, .tsv, .txt, .jsonl, .parquet), nor annotations (.json, .xml), nor an IDX "
        "images file; unpack an archive first."
    )


def _open_table(path: Path, options: ReadingOptions) -> Dataset:
    """The dataset of a table of labels, boxes or points, or of another program's annotations in such a file."""
    boxes = box_tables.open_file(path, options) if options.layout in (None, box_tables.NAME) else None
    if boxes:
        return boxes
    pointed = options.layout == point_tables.NAME or (not options.layout and point_tables.has_points(path, alone=True))
    if pointed and (points := point_tables.open_file(path, options)):
        return points
    try:
        return tables.open_file(path, options)
    except DataError:
        if path.suffix.casefold() == ".csv" and (dataset := _open_annotations(path, options)):
            return dataset
        raise


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


class _UnknownLayoutError(DataError):
    """A folder in which no layout sees anything."""


def _recognize(inventory: Inventory, layouts: Sequence[ModuleType]) -> Dataset:
    """By the layout that explains most of the images. As archives are often unpacked, the only folder inside is tried
    first where nothing is next to it, and last where something is but does not describe its images.
    """
    paths = (*inventory.images, *inventory.files)
    inside = {path.partition("/")[0] for path in paths if "/" in path}
    wrapped = len(inside) == 1 and not inventory.options.label_from
    alone = wrapped and all("/" in path for path in paths)
    unknown = None
    if alone:
        try:
            return _recognize(inventory.below(inside.pop()), layouts)
        except _UnknownLayoutError as error:
            unknown = error
    readings, obstacles = _read(inventory, layouts)
    if readings:
        return _choose(inventory, readings, obstacles)
    serious = any(
        name != folders.NAME and not isinstance(error, NoGroundTruthError) for name, error in obstacles.items()
    )
    if wrapped and not alone and not serious:
        return _recognize_below(inventory, layouts, inside.pop(), obstacles)
    if obstacles:
        raise _join_obstacles(obstacles)
    raise unknown or _UnknownLayoutError(_no_such_layout(inventory, layouts))


def _read(inventory: Inventory, layouts: Sequence[ModuleType]) -> tuple[list[Dataset], dict[str, DataError]]:
    """What the layouts that are marked, or required, read; and what hindered others."""
    readings: list[Dataset] = []
    obstacles: dict[str, DataError] = {}
    for layout in layouts:
        marked = layout.MARK is None or any(map(layout.MARK.search, chain(inventory.files, inventory.images)))
        if marked or len(layouts) < len(LAYOUTS):
            try:
                alone = layout is folders and inventory.options.layout == folders.NAME
                dataset: Dataset | None = layout.recognize(masks.without_masks(inventory) if alone else inventory)
            except DataError as error:
                if layout in _CERTAIN:
                    raise
                obstacles[layout.NAME] = error
            else:
                readings += [dataset] if dataset else []
    asked = inventory.options.layout not in (None, folders.NAME, masks.NAME)
    if asked and readings and "masks" not in readings[0].ground_truths:  # which may join that, as without being asked
        with suppress(DataError):
            others = masks.recognize(inventory)
            readings += [others] if others else []
    return readings, obstacles


def _recognize_below(
    inventory: Inventory, layouts: Sequence[ModuleType], folder: str, obstacles: Mapping[str, DataError]
) -> Dataset:
    """The dataset in the only folder, next to which there are files that are none."""
    try:
        dataset = _recognize(inventory.below(folder), layouts)
    except DataError as error:
        raise _join_obstacles(obstacles) if obstacles and isinstance(error, _UnknownLayoutError) else error from None
    lists = tuple(file for file in inventory.files if "/" not in file and class_index.MARK.search(file))
    if lists:
        dataset = class_index.name_classes(replace(inventory, files=lists), dataset)
    notes = [f"{name} was not taken: {error}" for name, error in obstacles.items()]
    outside = [image for image in inventory.images if "/" not in image]
    if outside:
        notes.append(f"left out: {len(outside):,} images next to {folder}/, such as {', '.join(outside[:NAMED])}")
    return replace(dataset, notes=(*dataset.notes, *notes))


def _join_obstacles(obstacles: Mapping[str, DataError]) -> DataError:
    """Two sentences at most, of which those on what may be ground truth go first."""
    names = sorted(obstacles, key=lambda name: isinstance(obstacles[name], NoGroundTruthError))
    first, *others = (str(obstacles[name]) for name in names)
    return DataError(f"{first} {'; '.join(other.rstrip('.') for other in others)}." if others else first)


def _choose(inventory: Inventory, readings: Sequence[Dataset], obstacles: Mapping[str, DataError]) -> Dataset:
    """The first reading that explains most of the images, with the masks that another one has of them. Raises
    `DataError` where a second one explains them as well and puts them into other classes, and where folders or names
    are all that remains of images that a file annotates which cannot be read.
    """
    present = {dataset.layout for dataset in readings}
    project, certain = supervisely.NAME in present, yolo_text.NAME in present and bool(present & _NAMED)
    readings = [  # a project's folders are no classes, and numbers next to images of known classes are none either
        dataset
        for dataset in readings
        if not (project and dataset.layout == folders.NAME) and not (certain and yolo_text.is_nameless(dataset))
    ]
    explained = []
    for dataset in readings:
        paths: Sequence[str] = inventory.images  # all of them, where other files are read
        files = dataset.images.images if isinstance(dataset.images, CroppedImages) else dataset.images
        if isinstance(files, ImageFiles):
            below = os.path.relpath(dataset.root, inventory.root).replace(os.sep, "/")
            outlined = dataset.left_out if dataset.layout in ANNOTATED else ()
            read = (*files.names, *dataset.annotations, *outlined)
            paths = read if below == "." else [f"{below}/{name}" for name in read]
        explained.append(frozenset(paths).intersection(inventory.images))
    most, asked = max(map(len, explained)), inventory.options.layout is not None
    index = next(index for index, images in enumerate(explained) if asked or len(images) >= MOST * most)
    if not asked and readings[index].layout in ANNOTATED and has_boxes_alone(readings[index]):
        likely = (
            position
            for position, one in enumerate(readings)
            if not has_boxes_alone(one)
            and one.layout not in POINTS
            and len(explained[position]) >= least_likely(one) * len(explained[index])
        )
        index = next(likely, index)  # which the boxes join
    dataset, images = readings[index], explained[index]
    if obstacles and (dataset.layout in (folders.NAME, names.NAME, masks.NAME) or has_boxes_alone(dataset)):
        refuse_guess(dataset.layout, obstacles)
    told = [name for name in obstacles if name != folders.NAME or yolo_text.is_nameless(dataset)]
    notes = [f"{name} was not taken: {obstacles[name]}" for name in told]
    for other, others in zip(readings, explained, strict=True):
        if other is not readings[index]:
            dataset = weigh(inventory, dataset, other, (len(images), len(others)), notes)
    if inventory.files and dataset.layout == folders.NAME and not dataset.given_splits:
        notes += find_split_lists(inventory)
    known = images.union(dataset.left_out)
    left = [image for image in inventory.images if image not in known]
    if left:
        notes.append(f"{len(left):,} of {len(inventory.images):,} images left out, such as {', '.join(left[:NAMED])}")
    return replace(dataset, notes=(*inventory.notes, *dataset.notes, *notes))


def _no_such_dataset(name: str) -> str:
    near = get_close_matches(name, catalog.NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give a folder, a table, or one of {', '.join(catalog.NAMES)}."
    return f"There is no file, folder or built-in dataset '{name}'; {hint}"


def _no_such_layout(inventory: Inventory, layouts: Sequence[ModuleType]) -> str:
    common = [layout for layout in (folders, tables, masks) if layout in layouts] or layouts
    expected = "; ".join(layout.EXPECTED for layout in common)
    found = f"Found there: {contents(inventory.root)}."
    if len(layouts) < len(LAYOUTS):
        called = " or ".join(layout.NAME for layout in layouts)
        return f"{inventory.root} cannot be read as {called}, which is: {expected}. {found}"
    others = ", ".join(layout.NAME for layout in layouts if layout not in common)
    return (
        f"{inventory.root} has none of the known layouts; the usual ones are {expected}; docs/data.md has the others: "
        f"{others}. {found}"
    )
