"""Bootstrap intervals: each replicate is the average precision of the split that it draws."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from convolve.errors import DataError
from convolve.metrics import detection_intervals
from convolve.metrics.coco_metrics import coco_metrics
from convolve.metrics.detection_intervals import bootstrap_intervals, bootstrap_replicates
from convolve.metrics.detections import Detections, ObjectBoxes
from tests.metrics.detection_sets import DetectionSet, random_set


def _distinct_scores(made: DetectionSet) -> DetectionSet:
    scores = np.random.default_rng(0).permutation(len(made.detections)) / len(made.detections)
    found = made.detections
    return made._replace(detections=Detections(found.boxes, scores, found.classes, found.images))


def _resampled(made: DetectionSet, drawn: list[int]) -> tuple[float, float]:
    """AP50 and AP where each drawn image is an image of its own."""
    object_rows = [np.flatnonzero(made.objects.images == image) for image in drawn]
    rows = [np.flatnonzero(made.detections.images == image) for image in drawn]
    objects = made.objects.take(np.concatenate(object_rows))
    found = made.detections.take(np.concatenate(rows))
    images = np.repeat(np.arange(len(drawn)), [len(part) for part in rows])
    object_images = np.repeat(np.arange(len(drawn)), [len(part) for part in object_rows])
    metrics = coco_metrics(
        ObjectBoxes(objects.boxes, objects.classes, object_images, objects.areas, objects.crowd, objects.difficult),
        Detections(found.boxes, found.scores, found.classes, images),
        made.classes,
    )
    return metrics.ap50, metrics.ap


@pytest.mark.parametrize("seed", range(6))
def test_a_replicate_is_measured_as_the_split_it_draws(seed: int) -> None:
    made = _distinct_scores(random_set(seed, images=8, objects=30, detections=150))
    assert made.objects.crowd.any()
    found = bootstrap_replicates(made.objects, made.detections, made.classes, made.images, replicates=12, seed=seed)
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, made.images, made.images).tolist() for _ in range(12)]
    np.testing.assert_allclose(found, [_resampled(made, images) for images in drawn], rtol=0, atol=1e-12)


def test_classes_and_images_that_a_replicate_does_not_draw_are_left_out() -> None:
    made = _distinct_scores(random_set(3, images=12, objects=5, detections=20))
    found = bootstrap_replicates(made.objects, made.detections, made.classes, 12, replicates=60, seed=1)
    random = np.random.default_rng(1)
    drawn = [random.integers(0, 12, 12).tolist() for _ in range(60)]
    np.testing.assert_allclose(found, [_resampled(made, images) for images in drawn], rtol=0, atol=1e-12)


def test_blocks_of_replicates_change_nothing() -> None:
    made = random_set(2, images=8, objects=30, detections=100)
    whole = bootstrap_replicates(made.objects, made.detections, 3, 8, replicates=25)
    with mock.patch.object(detection_intervals, "_BLOCK", 300):
        parts = bootstrap_replicates(made.objects, made.detections, 3, 8, replicates=25)
    np.testing.assert_array_equal(parts, whole)


def test_the_interval_is_that_of_the_middle_95_percent_reflected_at_the_estimate() -> None:
    made = random_set(2, images=8, objects=30, detections=100)
    intervals = bootstrap_intervals(made.objects, made.detections, 3, 8, replicates=200, seed=5)
    values = bootstrap_replicates(made.objects, made.detections, 3, 8, replicates=200, seed=5)
    split = coco_metrics(made.objects, made.detections, 3)
    for estimate, interval, column in zip((split.ap50, split.ap), intervals, values.T, strict=True):
        reflected = 2 * estimate - column
        assert (reflected < interval.lower).sum() == (reflected > interval.upper).sum() == 5
    assert intervals == bootstrap_intervals(made.objects, made.detections, 3, 8, replicates=200, seed=5)
    assert intervals != bootstrap_intervals(made.objects, made.detections, 3, 8, replicates=200, seed=6)


def test_images_without_objects_are_drawn_too() -> None:
    box = np.array([[0.0, 0, 8, 8]])
    objects, found = ObjectBoxes.of(box, np.array([0]), np.array([0])), (np.ones(1), np.array([0]), np.array([0]))
    values = bootstrap_replicates(objects, Detections(box, *found), 1, 4, replicates=2000)
    assert np.isnan(values).all(1).mean() == pytest.approx((3 / 4) ** 4, abs=0.03)
    assert np.unique(values[~np.isnan(values)]).tolist() == [1.0]


def test_without_objects_there_is_no_interval() -> None:
    made = random_set(0)
    intervals = bootstrap_intervals(made.objects.take(np.zeros(0, np.int64)), made.detections, 3, 4, replicates=5)
    assert np.isnan([*intervals.ap50, *intervals.ap]).all()


def test_an_image_that_is_not_there_is_named() -> None:
    made = random_set(1, images=4)
    last = int(made.objects.images.max())
    with pytest.raises(DataError, match=f"The image index {last} is none of the {last} images"):
        bootstrap_intervals(made.objects, made.detections, 3, last)
