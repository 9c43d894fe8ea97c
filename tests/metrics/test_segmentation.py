"""Metrics of segmentation, held against scikit-learn, torchmetrics' formulas by hand and small images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, distance_transform_edt  # type: ignore[import-untyped]
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, jaccard_score

from convolve.metrics.segmentation import boundary_counts, pixel_confusion, pixel_metrics
from convolve.values import IGNORE, Pixels


def masks(seed: int, classes: int, ignored: float = 0.2) -> tuple[Pixels, Pixels]:
    random = np.random.default_rng(seed)
    targets, predicted = random.integers(0, classes, (2, 3, 9, 11), dtype=np.uint8)
    targets[random.random(targets.shape) < ignored] = IGNORE
    return targets, predicted


@given(st.integers(0, 1000), st.integers(2, 6))
@settings(max_examples=30, deadline=None)
def test_as_scikit_learn_has_them(seed: int, classes: int) -> None:
    targets, predicted = masks(seed, classes)
    counted = targets != IGNORE
    flat = targets[counted], predicted[counted]
    matrix = pixel_confusion(targets, predicted, classes)
    assert np.array_equal(matrix, confusion_matrix(*flat, labels=np.arange(classes)))
    found, occurring = pixel_metrics(matrix), np.unique(flat[0])
    each = jaccard_score(*flat, labels=occurring, average=None)
    assert found.iou[occurring] == pytest.approx(each)
    assert found.mean_iou == pytest.approx(each.mean())
    assert found.mean_accuracy == pytest.approx(balanced_accuracy_score(*flat))
    assert found.pixel_accuracy == pytest.approx(np.mean(flat[0] == flat[1]))
    fractions = np.bincount(flat[0], minlength=classes)[occurring] / len(flat[0])
    assert found.weighted_iou == pytest.approx(fractions @ each)


def test_nothing_to_measure_is_no_number() -> None:
    found = pixel_metrics(np.zeros((3, 3), dtype=np.int64))
    assert np.isnan([found.pixel_accuracy, found.mean_iou, found.mean_accuracy, found.weighted_iou]).all()


def disc(radius: int, shift: int = 0) -> Pixels:
    image = np.zeros((200, 200), np.uint8)
    cv2.circle(image, (100 + shift, 100), radius, 1, -1)
    return image


def test_the_boundary_forgives_a_pixel_of_two_hundred() -> None:
    near = boundary_counts(disc(60), disc(61), 2).f_measure()
    far = boundary_counts(disc(60), disc(70), 2).f_measure()
    shifted = boundary_counts(disc(60), disc(60, 8), 2).f_measure()
    assert near.tolist() == [1.0, 1.0]
    assert far.tolist() == [0.0, 0.0]
    assert 0.1 < shifted[1] < 0.6


def test_near_is_scipy_s_distance() -> None:
    """On an image whose 625 pixels of diagonal forgive 5."""
    targets, predicted = np.zeros((2, 400, 480), np.uint8)
    random = np.random.default_rng(1)
    for image in (targets, predicted):
        for x, y, radius in random.integers((0, 0, 5), (480, 400, 60), (12, 3)).tolist():
            cv2.circle(image, (x, y), radius, 1, -1)
    found = boundary_counts(targets, predicted, 2)
    edges = [image - binary_erosion(image, border_value=1) == 1 for image in (predicted, targets)]
    near = [edge & (distance_transform_edt(~other) <= 5) for edge, other in zip(edges, edges[::-1], strict=True)]
    assert [found.predicted[1], found.true[1]] == [edge.sum() for edge in edges]
    assert [found.predicted_near[1], found.true_near[1]] == [edge.sum() for edge in near]
    assert 0.05 < near[0].sum() / edges[0].sum() < 0.95


def test_boundaries_of_images_add_up_and_ignored_pixels_have_none() -> None:
    same, other = boundary_counts(disc(60), disc(60), 3), boundary_counts(disc(30), disc(90), 3)
    both = (same + other).f_measure()
    assert both[1] == pytest.approx(2 * same.true[1] / (2 * same.true[1] + other.true[1] + other.predicted[1]))
    assert np.isnan(both[2])
    ignored = np.full((200, 200), IGNORE, np.uint8)
    assert np.isnan(boundary_counts(ignored, disc(60), 2).f_measure()).all()
