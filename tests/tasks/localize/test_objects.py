"""One object for each image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.boxes import Boxes
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError
from convolve.tasks.localize.objects import notes_on_objects, with_one_object
from convolve.values import Dataset
from tests.tasks.localize.small import boxes_of

SMALL, LARGE, OTHER = (0.0, 0.0, 5.0, 5.0, 0), (10.0, 10.0, 30.0, 30.0, 1), (2.0, 2.0, 22.0, 22.0, 0)


def dataset(boxes: Boxes, notes: tuple[str, ...] = ()) -> Dataset:
    images = ImageFiles(Path("/nowhere"), tuple(f"{number}.png" for number in range(len(boxes))))
    half = len(boxes) // 2
    splits = {"train": np.arange(half), "test": np.arange(half, len(boxes))}
    return Dataset("/nowhere", "boxes", "by hand", images, {"boxes": boxes}, splits, notes)


def own(found: Dataset) -> Boxes:
    boxes = found.ground_truths["boxes"]
    assert isinstance(boxes, Boxes)
    return boxes


def test_the_largest_object_of_each_image_stays_and_notes_say_what_was_left_out() -> None:
    found = with_one_object(dataset(boxes_of([[SMALL, LARGE], [SMALL], [], [LARGE, OTHER]]), ("before",)))
    assert [found.images.name(index) for index in range(3)] == ["0.png", "1.png", "3.png"]
    assert own(found).boxes.tolist() == [[10, 10, 30, 30], [0, 0, 5, 5], [10, 10, 30, 30]]  # of equal ones the first
    assert own(found).class_indices.tolist() == [1, 0, 1]
    assert own(found).first.tolist() == [0, 1, 2, 3]
    assert {name: part.tolist() for name, part in found.given_splits.items()} == {"train": [0, 1], "test": [2]}
    assert found.notes == (
        "before",
        "left out, as they show no object: 1 image, such as 2.png",
        "of several objects in an image only the largest counts: 2 images, such as 0.png, 3.png",
    )
    assert notes_on_objects(found) == found.notes[1:]
    assert with_one_object(found).notes == found.notes


def test_nothing_changes_where_each_image_has_one_object() -> None:
    data = dataset(boxes_of([[SMALL], [LARGE]]))
    assert with_one_object(data) is data


@pytest.mark.parametrize("flags", ["crowd", "difficult"])
def test_crowds_and_difficult_objects_do_not_count(flags: str) -> None:
    boxes = boxes_of([[SMALL, LARGE], [LARGE]])
    hidden = np.array([False, True, True])
    boxes = replace(boxes, crowd=hidden) if flags == "crowd" else replace(boxes, difficult=hidden)
    found = with_one_object(dataset(boxes))
    assert own(found).boxes.tolist() == [[0, 0, 5, 5]]
    assert "left out, as they show no object: 1 image, such as 1.png" in found.notes


def test_an_annotation_that_cannot_be_read_stays_for_the_doctor() -> None:
    boxes = replace(boxes_of([[SMALL], [], []]), failed={1: "broken"})
    found = with_one_object(dataset(boxes))
    assert own(found).failed == {1: "broken"}
    assert [found.images.name(index) for index in range(len(found))] == ["0.png", "1.png"]


def test_without_any_object_there_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="has no box around any object; annotate some"):
        with_one_object(dataset(boxes_of([[], []])))
