"""The objects of images that what is found there is measured against."""

from __future__ import annotations

from convolve.datasets.boxes import Boxes
from convolve.metrics.detections import ObjectBoxes
from convolve.values import Indices


def objects_of(ground_truth: Boxes, images: Indices) -> ObjectBoxes:
    """The objects of some images, which are numbered from 0; what is difficult counts as a crowd."""
    rows, image = ground_truth.rows(images)
    return ObjectBoxes(
        ground_truth.boxes[rows],
        ground_truth.class_indices[rows],
        image,
        ground_truth.areas[rows],
        ground_truth.crowd[rows] | ground_truth.difficult[rows],
        ground_truth.difficult[rows],
    )
