from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.boxes import Boxes
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.datasets.masks import MaskArray, Masks
from convolve.datasets.mosaic import draw_mosaic, put_together
from convolve.errors import DataError
from convolve.targets import ArrayTargets, BoxTargets
from convolve.values import IGNORE, GroundTruth, Preprocessing

GOAL = Preprocessing(96, 128, 1, "letterbox", (0.5,), (0.5,))
COUNT = 12
MOVED = Augmentation(mosaic=1.0, flip=True, scale=0.2, translate=0.3)
OPTIONS = BatchOptions(GOAL, batch=4, seed=1, shuffle=True, augmentation=MOVED)


def rectangles() -> tuple[np.ndarray, np.ndarray]:
    """(12, 60, 80, 1) black images with a rectangle each, whose brightness is its image's, and (12, 4) the boxes."""
    random = np.random.default_rng(0)
    low = random.integers(5, 35, (COUNT, 2))
    boxes = np.concatenate([low, low + random.integers(12, 24, (COUNT, 2))], axis=1)
    images = np.zeros((COUNT, 60, 80, 1), np.uint8)
    for index, (left, top, right, bottom) in enumerate(boxes.tolist()):
        images[index, top:bottom, left:right] = 140 + 9 * index
    return images, boxes.astype(np.float64)


def batches(ground_truth: GroundTruth, options: BatchOptions = OPTIONS) -> Batches:
    source = open_cache(ImageArray(rectangles()[0], "array"), GOAL, None, 0, 1)
    return Batches(source, ground_truth, np.arange(COUNT), options)


def as_boxes() -> Boxes:
    flags = np.zeros(COUNT, dtype=bool)
    rows = np.arange(COUNT)
    sizes = np.tile([60, 80], (COUNT, 1))
    areas = np.ones(COUNT)
    names = tuple("abcdefghijkl")
    return Boxes(
        rectangles()[1], rows, np.arange(COUNT + 1), sizes, names, areas, flags, flags, ~flags, min_visible=0.0
    )


def test_four_regions_meet_in_a_point_and_cover_the_input_once() -> None:
    mosaic = draw_mosaic(50, GOAL, np.random.default_rng(0))
    ones = np.ones((200, 96, 128))
    counted = np.zeros((50, 96, 128))
    for number, (left, top, right, bottom) in enumerate(mosaic.regions.tolist()):
        counted[number // 4, top:bottom, left:right] += 1
    np.testing.assert_array_equal(counted, 1)
    np.testing.assert_array_equal(put_together(ones, mosaic.regions), 1)
    corners = mosaic.regions.reshape(50, 4, 4)
    np.testing.assert_array_equal(corners[:, 0, 2:], corners[:, 3, :2])
    assert (corners[:, 0, 2:] >= [32, 24]).all()
    assert (corners[:, 0, 2:] <= [96, 72]).all()
    assert np.ptp(corners[:, 0, 2]) > 40


def test_every_part_shows_its_image_from_the_corner_where_the_four_meet() -> None:
    mosaic = draw_mosaic(20, GOAL, np.random.default_rng(0))
    plain = np.tile(np.eye(2, 3), (80, 1, 1))
    for number, (region, matrix) in enumerate(zip(mosaic.regions, mosaic.move(plain), strict=True)):
        box = np.concatenate([matrix @ [0, 0, 1], matrix @ [128, 96, 1]])
        assert (box[:2] <= region[:2] + 1e-9).all()
        assert (box[2:] >= region[2:] - 1e-9).all()
        meeting = [[2, 3], [0, 3], [2, 1], [0, 1]][number % 4]
        np.testing.assert_allclose(box[meeting], region[meeting], atol=1e-9)
        spare = (box[2:] - box[:2]) - (region[2:] - region[:2])
        assert spare.min() < 1e-9


def test_boxes_enclose_what_is_visible_of_their_objects() -> None:
    compared = 0
    for epoch in range(6):
        for batch in batches(as_boxes()).epoch(epoch):
            targets = batch.targets
            assert isinstance(targets, BoxTargets)
            assert len(targets) == len(batch.images) == len(batch.indices) == 4
            for box, kind, image in zip(targets.boxes, targets.classes, targets.image, strict=True):
                value = ((140 + 9 * kind) / 255 - 0.5) / 0.5
                same = np.abs(batch.images[image, ..., 0] - value) < 0.02
                rows, columns = np.arange(96)[:, None] + 0.5, np.arange(128) + 0.5
                across = np.minimum(columns - box[0], box[2] - columns)
                depth = np.minimum(across, np.minimum(rows - box[1], box[3] - rows))  # of a pixel's center in the box
                assert same[depth > 1.5].all()
                assert not same[(depth > -4) & (depth < -1.5)].any()
                compared += 1
    assert compared > 100


def test_masks_follow_their_images() -> None:
    images, _ = rectangles()
    masks = Masks(MaskArray((images[..., 0] > 0).astype(np.uint8)), ("nothing", "something"), ((0, 0, 0), (9, 9, 9)))
    for batch in batches(masks).epoch(0):
        assert isinstance(batch.targets, ArrayTargets)
        inside = batch.images[..., 0] * 0.5 + 0.5 > 0.3
        known = batch.targets.values != IGNORE
        assert known.mean() > 0.5
        assert (inside == batch.targets.values)[known].mean() > 0.985


def test_a_probability_is_one_for_each_batch_and_the_first_part_is_the_example_itself() -> None:
    some = batches(as_boxes(), replace(OPTIONS, augmentation=Augmentation(mosaic=0.5)))
    classes = [len(np.unique(batch.targets.classes)) for epoch in range(20) for batch in some.epoch(epoch)]  # type: ignore[attr-defined]
    assert 20 < sum(count <= 4 for count in classes) < 40
    order = [batch.indices for batch in some.epoch(3)]
    for indices, expected in zip(order, some.order(3), strict=True):
        np.testing.assert_array_equal(indices, expected)


def test_labels_of_whole_images_are_refused() -> None:
    with pytest.raises(DataError, match="leave out --mosaic"):
        next(batches(Labels(np.zeros(COUNT, np.int64), ("a",))).epoch(0))
