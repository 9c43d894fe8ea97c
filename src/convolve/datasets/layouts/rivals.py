"""Several readings of one folder: which are as likely as each other, and what is then taken, joined or refused."""

from __future__ import annotations

from collections.abc import Mapping

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts import (
    box_tables,
    coco,
    coco_keypoints,
    cvat,
    folders,
    label_studio,
    labelme,
    masks,
    names,
    point_tables,
    pts_files,
    stacks,
    supervisely,
    tables,
    via,
    voc,
    yolo_text,
)
from convolve.datasets.layouts.outlines import NoOutlinesError
from convolve.datasets.layouts.parts import NoGroundTruthError
from convolve.datasets.layouts.readings import (
    differ,
    disputed_image,
    has_class_of_masks,
    have_same_classes,
    join_objects,
    join_splits,
)
from convolve.datasets.layouts.table_cells import TwoImagesError
from convolve.errors import DataError
from convolve.values import Dataset

POINTS = frozenset(layout.NAME for layout in (coco_keypoints, point_tables, pts_files))
"""The layouts of points."""
ANNOTATED = POINTS | frozenset(
    layout.NAME for layout in (coco, labelme, supervisely, cvat, via, label_studio, voc, yolo_text, box_tables)
)
"""The layouts of files that say where objects, or the points of one, are."""
_GUESSED = frozenset((tables.NAME, names.NAME, folders.NAME))  # what looks so can be something else
MOST = 0.5
"""Fraction of the images that any layout explains, which one that is read explains at least."""
_ALIKE = 0.9
"""Two layouts that explain almost as many images as this fraction of each other's are equally likely."""


def has_boxes_alone(dataset: Dataset) -> bool:
    """Whether it is of such a layout, with boxes and no masks."""
    return dataset.layout in ANNOTATED and "boxes" in dataset.ground_truths and "masks" not in dataset.ground_truths


def least_likely(*readings: Dataset) -> float:
    """The fraction of another reading's images that these explain at least, where they are as likely as it."""
    return MOST if any(dataset.layout == names.NAME for dataset in readings) else _ALIKE  # which fewer fit by chance


def refuse_guess(guessed: str, obstacles: Mapping[str, DataError]) -> None:
    """Raise `DataError` where folders or names would be read as classes although a file outlines the images, which only
    cannot be read, or has masks: what is next to such files is called after anything. One without outlines says nothing
    of classes, except in a project of Supervisely, which has folders of its own.
    """
    for layout, error in obstacles.items():
        empty = isinstance(error, NoOutlinesError | NoGroundTruthError)
        if guessed != masks.NAME and (layout == supervisely.NAME or (layout in ANNOTATED and not empty)):
            raise DataError(f"{error} To read classes all the same, choose --layout {guessed}.")
        if layout == stacks.NAME and guessed == masks.NAME and not empty:  # the first pages are not the data
            raise error
        if guessed == folders.NAME and isinstance(error, TwoImagesError):  # each may have a folder of its own
            raise DataError(f"{error} To read folders as classes all the same, choose --layout {guessed}.")
        if layout == masks.NAME and guessed == folders.NAME:  # folders of images and of masks are no classes
            raise error


def weigh(
    inventory: Inventory, dataset: Dataset, other: Dataset, explained: tuple[int, int], notes: list[str]
) -> Dataset:
    """The dataset with what another reading knows besides; ``notes`` say why that is not taken.

    Raises `DataError` where both explain the images as well and differ.
    """
    own, others = explained
    if other.layout in POINTS:
        notes.append(f"{other.layout} was not taken: {other.reason}; --layout {other.layout} reads these points")
        return dataset
    rivals = {dataset.layout, other.layout} <= _GUESSED and others >= least_likely(dataset, other) * own
    if (rivals and differ(dataset, other)) or has_class_of_masks(dataset, other):
        raise DataError(
            f"{inventory.root} can be read as {dataset.layout} ({dataset.reason}), or as {other.layout} "
            f"({other.reason}), which differ; choose --layout {dataset.layout} or --layout {other.layout}."
        )
    alike = dataset.ground_truths.keys() == other.ground_truths.keys()
    named = {dataset.layout, other.layout} <= ANNOTATED and not yolo_text.is_nameless(other)
    if alike and named and (image := disputed_image(dataset, other)):
        raise DataError(
            f"{inventory.root} can be read as {dataset.layout} ({dataset.reason}), or as {other.layout} "
            f"({other.reason}), which differ on {image}; choose --layout {dataset.layout} or --layout {other.layout}."
        )
    if rivals and other.given_splits and not dataset.given_splits and others >= own:
        return join_splits(dataset, other)
    if has_boxes_alone(other) and "boxes" in dataset.ground_truths and not (alike and named):
        notes.append(f"{other.layout} was not taken: {other.reason}")
    if (has_boxes_alone(other) and others >= MOST * own) or (
        "masks" in other.ground_truths and dataset.layout != folders.NAME
    ):
        return join_objects(dataset, other)
    if other.layout == folders.NAME and others >= _ALIKE * own and not have_same_classes(dataset, other):
        notes.append(f"{other.layout} was not taken: {other.reason}; --layout {other.layout} reads these classes")
    if others < MOST * own:
        notes.append(f"{other.layout} was not taken: it explains {others:,} of {len(inventory.images):,} images")
    return dataset
