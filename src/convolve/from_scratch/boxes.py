"""Boxes: their overlap, and which of several on one object stays.

Slides "IOU Intersection over Union", "NMS (Non-Maximum Suppression)" and "Predictions on a grid". A box is left, top,
right, bottom in pixels, counted from the outer edge of the first pixel: a box around the first pixel is 0 0 1 1.
"""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array, Labels


def box_areas(boxes: Array) -> Array:
    """The areas (N,) of boxes (N, 4)."""
    areas: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def box_overlaps(a: Array, b: Array) -> Array:
    """The area (N, M) that each of the boxes ``a`` (N, 4) has in common with each of ``b`` (M, 4)."""
    start = np.maximum(a[:, None, :2], b[None, :, :2])
    end = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlaps: Array = np.maximum(end - start, 0).prod(2)
    return overlaps


def intersection_over_union(a: Array, b: Array) -> Array:
    """IoU (N, M) of boxes ``a`` (N, 4) and ``b`` (M, 4) that have an area: their overlap divided by their union.

    With ``a`` predicted and ``b`` the ground truth this is TP / (TP + FP + FN), counted in pixels.
    """
    overlaps = box_overlaps(a, b)
    iou: Array = overlaps / (box_areas(a)[:, None] + box_areas(b)[None] - overlaps)
    return iou


def non_maximum_suppression(boxes: Array, scores: Array, classes: Labels, threshold: float) -> Labels:
    """Of boxes (N, 4) with scores (N,) and classes (N,) the indices of those that stay, by descending score.

    Of each class, the box of the highest score stays and removes all others whose IoU with it is above ``threshold``;
    then the next highest of those left, until none is left. Of equal scores the first box comes first.
    """
    order = np.argsort(-scores, kind="stable")
    removed = np.zeros(len(boxes), np.bool_)
    for position, index in enumerate(order):
        if removed[index]:
            continue
        rest = order[position + 1 :]
        iou = intersection_over_union(boxes[[index]], boxes[rest])[0]
        removed[rest[(iou > threshold) & (classes[rest] == classes[index])]] = True
    return order[~removed[order]]
