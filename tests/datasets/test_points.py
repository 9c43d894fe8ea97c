"""Points as a ground truth: how they follow the pixels, and what the doctor says of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convolve.datasets.augment import apply_transforms, draw_transforms
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.crops import CroppedImages, whole_images
from convolve.datasets.images import ImageArray, ImageFiles
from convolve.datasets.point_sets import PointSet, describe_points
from convolve.datasets.points import Points, draw_points, point_color
from convolve.datasets.preprocess import box_matrices, source_boxes
from convolve.datasets.splits import SplitPlan, split
from convolve.errors import DataError
from convolve.values import Dataset, Indices, Placement, Preprocessing

NAMES = ("nose", "left_eye", "right_eye")
SIZE = (60, 80)
GOAL = Preprocessing(48, 48, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
BODY = describe_points(("head", "left_foot", "right_foot"))


def points(
    positions: list[list[tuple[float, float]]],
    visibility: list[list[int]] | None = None,
    point_set: PointSet | None = None,
    size: tuple[int, int] = SIZE,
) -> Points:
    """Of images of one size, whose objects fill them."""
    array = np.array(positions, dtype=np.float64)
    flags = np.full(array.shape[:2], 2) if visibility is None else np.array(visibility)
    count = len(array)
    return Points(
        points=array,
        visibility=flags.astype(np.int64),
        sizes=np.tile(np.array(size, dtype=np.int64), (count, 1)),
        point_set=point_set or describe_points(NAMES),
        boxes=np.tile([0.0, 0.0, size[1], size[0]], (count, 1)),
        areas=np.full(count, float(size[0] * size[1])),
    )


def placed(count: int, preprocessing: Preprocessing = GOAL) -> Placement:
    sizes: Indices = np.tile(np.array(SIZE, dtype=np.int64), (count, 1))
    return Placement(box_matrices(source_boxes(sizes, preprocessing), preprocessing), sizes, preprocessing)


FACE = [(40.0, 40.0), (60.0, 20.0), (20.0, 22.0)]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_points_follow_the_pixels_through_every_augmentation(seed: int, tilted: bool) -> None:
    """Each point is a dot of its own color; after the transforms it is where the point is, under its new name."""
    colors = {"nose": (255, 0, 0), "left_eye": (0, 255, 0), "right_eye": (0, 0, 255)}
    image = np.zeros((*SIZE, 3), np.uint8)
    for name, (x, y) in zip(NAMES, FACE, strict=True):
        cv2.circle(image, (int(x), int(y)), 4, colors[name], -1)
    truth = points([[(x + 0.5, y + 0.5) for x, y in FACE]])
    changes = Augmentation(crop=0.8, flip=True, vertical_flip=True, rotate=30.0 if tilted else 0.0, scale=0.2)
    sizes = np.array([SIZE], dtype=np.int64)
    plain = Preprocessing(48, 48, 3, "letterbox", (0.0,) * 3, (1.0,) * 3)
    transforms = draw_transforms(changes, sizes, plain, np.zeros((3, 3)), np.random.default_rng(seed))
    moved = apply_transforms(transforms, [image], plain, reflect=False)[0]
    targets = truth.targets(np.array([0]), Placement(transforms.matrices, sizes, plain))
    flipped = np.linalg.det(transforms.matrices[0, :, :2]) < 0
    renamed = {"nose": "nose", "left_eye": "right_eye", "right_eye": "left_eye"} if flipped else {n: n for n in NAMES}
    for name, (x, y), visibility in zip(NAMES, targets.points[0], targets.visibility[0], strict=True):
        channel = moved[..., colors[renamed[name]].index(255)]
        if visibility and 4 < x < 44 and 4 < y < 44:
            rows, columns = np.nonzero(channel > 0.5)
            assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((x, y), abs=0.7)


def test_a_flip_exchanges_partners_and_their_visibility() -> None:
    truth = points([FACE], [[2, 1, 2]])
    placement = placed(1)
    mirrored = placement.matrices.copy()
    mirrored[:, 0] *= -1
    mirrored[:, 0, 2] += GOAL.width
    plain = truth.targets(np.array([0]), placement)
    flipped = truth.targets(np.array([0]), Placement(mirrored, placement.sizes, GOAL))
    order = [0, 2, 1]
    assert flipped.points[0, :, 0] == pytest.approx(GOAL.width - plain.points[0, order, 0])
    assert flipped.points[0, :, 1] == pytest.approx(plain.points[0, order, 1])
    assert flipped.visibility.tolist() == [[2, 2, 1]]
    assert flipped.lengths == pytest.approx(plain.lengths)


def test_points_outside_of_the_input_are_not_learned_from() -> None:
    truth = points([[(40.0, 40.0), (79.0, 20.0), (90.0, 22.0)]])
    targets = truth.targets(np.array([0]), placed(1))
    assert targets.visibility.tolist() == [[2, 2, 0]]
    cropped = truth.targets(np.array([0]), placed(1, Preprocessing(48, 48, 3, "crop", (0.5,) * 3, (0.25,) * 3)))
    assert cropped.visibility.tolist() == [[2, 0, 0]]


def test_lengths_are_of_the_eyes_or_of_the_box() -> None:
    truth = points([FACE, FACE, [(1, 1), (5, 5), (5, 5)]], [[2, 2, 2], [2, 0, 2], [2, 2, 2]])
    assert truth.lengths == pytest.approx([np.hypot(40, 2), np.nan, np.nan], nan_ok=True)
    targets = truth.targets(np.arange(3), placed(3))
    assert targets.lengths == pytest.approx(truth.lengths * 48 / 80, nan_ok=True)
    body = points([FACE], point_set=BODY)
    assert body.lengths == pytest.approx([np.sqrt(60 * 80)])


def test_take_digest_and_covers() -> None:
    truth = points([FACE, [(1, 2), (3, 4), (5, 6)], FACE], [[2, 2, 2], [0, 0, 0], [2, 2, 1]])
    assert truth.covers.tolist() == [True, False, True]
    assert truth.digest(0) != truth.digest(2)
    chosen = truth.take(np.array([2, 0]))
    assert [chosen.digest(index) for index in (0, 1)] == [truth.digest(2), truth.digest(0)]
    assert chosen.presence().shape == (2, 0)
    with pytest.raises(DataError, match="no classes"):
        truth.with_classes(["a"])


def test_the_doctor_names_what_is_odd() -> None:
    usual = [FACE] * 12
    swapped = [(40.0, 40.0), (20.0, 22.0), (60.0, 20.0)]
    outside = [(40.0, 40.0), (90.0, 20.0), (20.0, 22.0)]
    truth = points([*usual, swapped, outside, FACE], [*[[2, 2, 2]] * 14, [1, 1, 0]])
    found = {remark.what: remark.images for remark in truth.findings.remarks}
    assert found == {
        "1 image has a point outside of the image": (13,),
        "1 image has only hidden points": (14,),
        "1 image has left and right on other sides than nearly all others": (12,),
    }
    assert truth.findings.facts["points"] == "3, of which 1 pairs of left and right"


def test_nobody_is_swapped_where_images_differ() -> None:
    """Persons are seen from the front and from behind."""
    behind = [(40.0, 40.0), (20.0, 22.0), (60.0, 20.0)]
    assert points([FACE] * 8 + [behind] * 4).findings.remarks == ()
    assert points([FACE] * 8 + [behind]).findings.remarks == ()  # too few to say


def test_drawing() -> None:
    point_set = describe_points(NAMES, [(1, 2)])
    image = np.zeros((60, 80, 3), np.uint8)
    drawn = draw_points(image, np.array(FACE), np.array([2, 2, 0]), describe_points(NAMES))
    assert not image.any()
    assert tuple(drawn[40, 40]) == point_color(point_set, 0)
    assert tuple(drawn[20, 60]) == point_color(point_set, 1)
    assert not drawn[21, 19].any()
    assert point_color(point_set, 1) != point_color(point_set, 2)
    line = draw_points(image, np.array(FACE), np.array([0, 2, 2]), point_set)
    assert line[20, 40].all()
    sheet, words = points([FACE]).draw(
        np.zeros((1, 48, 48, 1), np.uint8), points([FACE]).targets(np.array([0]), placed(1))
    )
    assert words == ["3 of 3 points"]
    assert sheet.shape == (1, 48, 48, 3)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="do not fit to 3 names"):
        points([[(0.0, 0.0)]])


def test_crops_are_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    files = ImageFiles(tmp_path, ("0.png", "1.png"))
    boxes = np.array([[1, 2, 11, 18], [5, 0, 30, 20], [0, 0, 4, 4]], dtype=np.int64)
    crops = CroppedImages(files, np.array([0, 1, 1]), boxes, np.array([1, 1, 2]))
    assert [crops.name(index) for index in range(3)] == ["0.png#1", "1.png#1", "1.png#2"]
    for index, (left, top, right, bottom) in enumerate(boxes.tolist()):
        assert np.array_equal(crops.read(index, 5), pixels[int(crops.sources[index])][top:bottom, left:right])
        assert crops.size(index) == (bottom - top, right - left)
    assert len({crops.digest(index) for index in range(3)}) == 3
    assert crops.take(np.array([2, 0])).name(0) == "1.png#2"
    _, sources, corners = whole_images(crops.take(np.array([2, 0])))
    assert (sources.tolist(), corners.tolist()) == ([1, 0], [[0, 0], [1, 2]])
    plain = ImageArray(pixels, "array").take(np.array([1]))
    assert whole_images(plain)[2].tolist() == [[0, 0]]


def test_what_is_cut_out_of_one_image_stays_in_one_split() -> None:
    whole = ImageArray(np.zeros((20, 60, 80, 3), np.uint8), "whole")
    sources = np.repeat(np.arange(20), 3)
    boxes = np.tile([0, 0, 40, 40], (60, 1))
    crops = CroppedImages(whole, sources, boxes, np.tile([1, 2, 3], 20))
    truth = points([FACE] * 60)
    dataset = Dataset("here", "coco-keypoints", "", crops, {"points": truth}, {})
    found = split(dataset, truth, SplitPlan(0.2, 0.2, None, 0), np.arange(60))
    parts = [set(sources[part].tolist()) for part in (found.train, found.validation, found.test)]
    assert all(parts)
    assert sum(map(len, parts)) == 20
