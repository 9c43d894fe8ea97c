"""Boxes as a ground truth: which images have them, how they follow the pixels, and what the doctor says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convolve.datasets.boxes import Boxes, move_boxes
from convolve.datasets.class_colors import MASK_COLORS, class_color
from convolve.datasets.doctor import as_json, diagnose
from convolve.datasets.images import ImageFiles
from convolve.datasets.preprocess import box_matrices, source_boxes, warp
from convolve.datasets.survey import survey
from convolve.datasets.torch_dataset import ImageDataset
from convolve.errors import DataError
from convolve.values import Dataset, Indices, Placement, Preprocessing
from tests.datasets.ground_truths import placement
from tests.datasets.synthetic import REMEDY

CLASSES = ("cat", "dog", "emu")
GOAL = Preprocessing(20, 40, 3, "stretch", (0.5,) * 3, (0.5,) * 3)
Row = tuple[int, str, float, float, float, float]


def boxes(rows: Sequence[Row], images: int = 3, size: tuple[int, int] = (10, 20)) -> Boxes:
    """Of images of one size, from rows in their order: an image's index, a class, the edges."""
    edges = np.array([row[2:] for row in rows], np.float64).reshape(-1, 4)
    return Boxes(
        boxes=edges,
        class_indices=np.array([CLASSES.index(row[1]) for row in rows], dtype=np.int64),
        first=np.searchsorted([row[0] for row in rows], np.arange(images + 1)).astype(np.int64),
        sizes=np.array([size] * images, dtype=np.int64),
        classes=CLASSES,
        areas=(edges[:, 2:] - edges[:, :2]).prod(1),
        crowd=np.zeros(len(rows), dtype=bool),
        difficult=np.zeros(len(rows), dtype=bool),
        covers=np.ones(images, dtype=bool),
    )


SOME: list[Row] = [(0, "cat", 1, 2, 5, 6), (0, "emu", 0, 0, 20, 10), (2, "cat", 3, 3, 9, 9)]


def described(found: Boxes) -> list[list[tuple[str, tuple[float, ...]]]]:
    """The classes and edges of each image."""
    result = []
    for index in range(len(found)):
        rows, _ = found.rows(np.array([index]))
        result.append([(found.classes[found.class_indices[row]], tuple(found.boxes[row].tolist())) for row in rows])
    return result


def test_images_have_any_number_of_boxes() -> None:
    found = boxes(SOME)
    assert found.counts().tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert found.presence().tolist() == [[True, False, True], [False] * 3, [True, False, False]]
    assert [rows.tolist() for rows in found.rows(np.array([2, 1, 0, 0]))] == [[2, 0, 1, 0, 1], [0, 2, 2, 3, 3]]


def test_some_of_the_images_are_as_they_were() -> None:
    found = boxes(SOME)
    part = found.take(np.array([2, -1, 0, 2]))
    every = described(found)
    assert described(part) == [every[2], [], every[0], every[2]]
    assert part.covers.tolist() == [True, False, True, True]
    assert [part.digest(index) for index in (0, 2)] == [found.digest(2), found.digest(0)]
    assert found.digest(0) != found.digest(2) != found.digest(1)


def test_classes_in_another_order_and_without_some() -> None:
    found = boxes(SOME).with_classes(("fox", "emu"))
    assert found.classes == ("fox", "emu")
    assert described(found) == [[("emu", (0, 0, 20, 10))], [], []]
    more = boxes(SOME).with_classes(("emu", "cat", "dog"))
    assert [[name for name, _ in each] for each in described(more)] == [["cat", "emu"], [], ["cat"]]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"class_indices": np.array([0, 3, 1])}, "none of the 3 classes"),
        ({"areas": np.zeros(2)}, "3 boxes need four edges"),
        ({"sizes": np.zeros((2, 2), np.int64)}, "do not fit to their sizes"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(broken: dict[str, Indices], why: str) -> None:
    whole = boxes(SOME)
    values = {name: getattr(whole, name) for name in whole.__dataclass_fields__} | broken
    with pytest.raises(DataError, match=why):
        Boxes(**values)


def test_targets_are_scaled_to_the_input_and_in_the_order_of_the_images() -> None:
    found = boxes(SOME).targets(np.array([2, 0]), placement([(10, 20), (10, 20)], GOAL))
    assert found.boxes.tolist() == [[6, 6, 18, 18], [2, 4, 10, 12], [0, 0, 40, 20]]
    assert (found.image.tolist(), found.classes.tolist(), len(found)) == ([0, 1, 1], [0, 0, 2], 2)
    assert not found.ignored.any()


def test_boxes_follow_images_that_were_reduced_for_the_cache() -> None:
    found = boxes(SOME).targets(np.array([0]), placement([(5, 10)], GOAL))  # half of the size
    assert found.boxes.tolist() == [[2, 4, 10, 12], [0, 0, 40, 20]]


def test_what_is_moved_out_of_the_input_is_clipped_or_dropped() -> None:
    whole = boxes([(0, "cat", 0, 0, 8, 10), (0, "dog", 12, 0, 16, 10)], 1)
    place = placement([(10, 20)], GOAL)
    left = place.matrices.copy()
    left[0, 0, 2] -= 2 * 6  # six of the eight columns of the cat
    moved = whole.targets(np.array([0]), Placement(left, place.sizes, GOAL))
    assert (moved.boxes.tolist(), moved.classes.tolist()) == ([[0, 0, 4, 20], [12, 0, 20, 20]], [0, 1])
    left[0, 0, 2] -= 1
    moved = whole.targets(np.array([0]), Placement(left, place.sizes, GOAL))
    assert moved.classes.tolist() == [1]  # less than a quarter was visible


def test_crowds_and_difficult_objects_are_ignored() -> None:
    whole = boxes(SOME)
    flags = {name: getattr(whole, name) for name in whole.__dataclass_fields__}
    found = Boxes(**{**flags, "crowd": np.array([True, False, False]), "difficult": np.array([False, False, True])})
    targets = found.targets(np.array([0, 2]), placement([(10, 20)] * 2, GOAL))
    assert targets.ignored.tolist() == [True, False, True]
    assert targets.to("cpu").classes.tolist() == [2]


def test_no_boxes_at_all_have_the_shape_of_boxes() -> None:
    targets = boxes([], 2).targets(np.array([0, 1]), placement([(10, 20)] * 2, GOAL))
    assert targets.boxes.shape == (0, 4)
    tensors = targets.to("cpu")
    assert (tuple(tensors.boxes.shape), len(tensors.classes), len(tensors.image)) == ((0, 4), 0, 0)


@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.5, 2),
    flip=st.booleans(),
    shift=st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
)
@settings(max_examples=60, deadline=None)
def test_a_box_holds_the_pixels_that_it_held(
    angle: float, scale: float, flip: bool, shift: tuple[float, float]
) -> None:
    """A rectangle that is painted and warped by OpenCV lies in the box that is moved, and reaches its edges."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    across = -1 if flip else 1
    matrix = np.array([[across * cosine, -sine, 0.0], [across * sine, cosine, 0.0]])
    matrix[:, 2] = np.array([100, 100]) + shift - matrix[:, :2] @ [60, 55]
    image = np.zeros((200, 200, 1), np.uint8)
    image[40:70, 30:90] = 255
    goal = Preprocessing(200, 200, 1, "letterbox", (0.0,), (1.0,))
    warped = warp([image], matrix[None], goal)[0, :, :, 0] > 127
    ((left, top, right, bottom),) = move_boxes(np.array([[30.0, 40, 90, 70]]), matrix[None]).tolist()
    rows, columns = np.flatnonzero(warped.any(1)), np.flatnonzero(warped.any(0))
    found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    np.testing.assert_allclose(found, np.clip([left, top, right, bottom], 0, 200), atol=1.5)


def test_frames_are_drawn_into_copies_of_the_images() -> None:
    found = boxes(SOME)
    targets = found.targets(np.array([0, 1]), placement([(10, 20)] * 2, GOAL))
    images = np.zeros((2, 20, 40, 1), np.uint8)
    drawn, words = found.draw(images, targets)
    assert words == ["1 cat + 1 emu", "no object"]
    assert drawn.shape == (2, 20, 40, 3)
    assert tuple(drawn[0, 4, 2].tolist()) == class_color(0)
    assert tuple(drawn[0, 0, 0].tolist()) == class_color(2)
    assert not drawn[1].any()
    assert not images.any()


def test_frames_are_as_wide_as_a_small_view_of_the_image_needs() -> None:
    """Without leaving the box, of whatever size that is."""
    found = boxes([(0, "cat", 50, 60, 250, 300), (0, "emu", 300, 300, 303, 301)], 1, (440, 440))
    goal = Preprocessing(440, 440, 3, "stretch", (0.0,) * 3, (1.0,) * 3)
    moved = found.targets(np.array([0]), placement([(440, 440)], goal))
    drawn = found.draw(np.zeros((1, 440, 440, 3), np.uint8), moved)[0][0]
    assert np.flatnonzero(drawn[180].any(1)).tolist() == [50, 51, 52, 53, 246, 247, 248, 249]
    assert np.flatnonzero(drawn[:, 150].any(1)).tolist() == [60, 61, 62, 63, 296, 297, 298, 299]
    assert np.argwhere(drawn[290:, 290:].any(2)).tolist() == [[10, 10], [10, 11], [10, 12]]


def test_colors_of_classes_are_apart_and_none_is_black() -> None:
    assert (MASK_COLORS[0], len(MASK_COLORS), len(set(MASK_COLORS[:40]))) == ((0, 0, 0), 255, 40)
    assert MASK_COLORS[1:] == tuple(map(class_color, range(254)))


def on_disk(root: Path, found: Boxes) -> Dataset:
    """The boxes with images of noise."""
    random = np.random.default_rng(0)
    for index, (height, width) in enumerate(found.sizes.tolist()):
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(root / f"{index}.png")
    images = ImageFiles(root, tuple(f"{index}.png" for index in range(len(found))))
    parts = {"train": np.array([0, 1]), "test": np.array([2])}
    return Dataset(str(root), "made", "because", images, {"boxes": found}, parts)


def test_the_doctor_counts_objects_by_class_and_size_and_names_odd_boxes(tmp_path: Path) -> None:
    rows: list[Row] = [
        (0, "cat", 0, 0, 32, 32),
        (0, "cat", 0, 0, 32, 32),
        (0, "dog", 0, 0, 96, 96),
        (2, "cat", 0, 0, 120, 100),
        (2, "dog", 1, 1, 34, 33),
    ]
    data = on_disk(tmp_path, boxes(rows, 3, (100, 120)))
    found = diagnose(data, data.ground_truths["boxes"], None, survey(data.images), REMEDY)
    assert found.totals == {"objects": (3, 2, 0), "small": (2, 0, 0), "medium": (0, 2, 0), "large": (1, 0, 0)}
    assert found.facts == {"objects": "5", "per image": "0 to 3 (median 2)", "images without objects": "1"}
    assert found.counts == {"all": (2, 2, 0), "train": (1, 1, 0), "test": (1, 1, 0)}
    odd = "1 object has {}, such as in {}; {}."
    assert (
        odd.format("the class and the box of another one in the same image", "0.png", "remove the duplicates")
        in found.warnings
    )
    assert (
        odd.format("a box that covers nearly all of the image", "2.png", "check whether that is meant")
        in found.warnings
    )
    assert not any("no object" in warning for warning in found.warnings)  # of images that show none, as they may
    document = as_json(found)
    assert (document["totals"]["objects"], document["facts"]["objects"]) == ((3, 2, 0), "5")
    assert "fractions" not in document


def test_an_image_whose_annotation_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    found = boxes([(index, "cat", 1, 1, 4, 4) for index in range(20)], 20)
    values = {name: getattr(found, name) for name in found.__dataclass_fields__} | {"failed": {3: "3.xml is damaged"}}
    data = on_disk(tmp_path, Boxes(**values))
    part = data.ground_truths["boxes"].take(np.array([5, 3]))
    assert part.findings.failed == {1: "3.xml is damaged"}
    judged = diagnose(data, data.ground_truths["boxes"], None, survey(data.images), REMEDY)
    assert [(one.name, one.reason) for one in judged.unreadable] == [("3.png", "3.xml is damaged")]
    assert judged.totals["objects"] == (19, 0, 0)


def test_boxes_for_a_training_loop_of_ones_own(tmp_path: Path) -> None:
    examples = ImageDataset(on_disk(tmp_path, boxes(SOME)), "boxes")
    _, target = examples[0]
    assert target.boxes.tolist() == [[1, 2, 5, 6], [0, 0, 20, 10]]
    assert examples[1][1].boxes.shape == (0, 4)


def test_the_corners_of_crops_are_those_of_the_pixels() -> None:
    """A crop of an image twice as wide as the input's shape: what lies left of it is dropped."""
    goal = Preprocessing(10, 10, 3, "crop", (0.5,) * 3, (0.5,) * 3)
    sizes = np.array([[10, 20]])
    matrices = box_matrices(source_boxes(sizes, goal), goal)
    found = boxes([(0, "cat", 0, 0, 5, 10), (0, "dog", 6, 2, 14, 8)], 1).targets(
        np.array([0]), Placement(matrices, sizes, goal)
    )
    assert (found.boxes.tolist(), found.classes.tolist()) == ([[1, 2, 9, 8]], [1])
    image = np.zeros((10, 20, 3), np.uint8)
    cv2.rectangle(image, (6, 2), (13, 7), (255, 255, 255), -1)
    lit = warp([image], matrices, goal)[0, :, :, 0] > 127
    assert (np.flatnonzero(lit.any(0))[[0, -1]].tolist(), np.flatnonzero(lit.any(1))[[0, -1]].tolist()) == (
        [1, 8],
        [2, 7],
    )
