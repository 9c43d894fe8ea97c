"""Which detection finds which object: overlaps of boxes in the same images, and the two rules of matching.

Each image is a problem of its own, so that one detection of each is matched at a time, for all images and thresholds
together: the number of steps is that of the detections in one image, not in all.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [0, 0, 4, 5]]), np.array([0, 0]), np.array([0, 0]))
>>> detections = Detections(np.array([[0.0, 0, 4, 4], [0, 0, 4, 4]]), np.ones(2), np.array([0, 0]), np.array([0, 0]))
>>> overlaps = find_overlaps(objects, detections, least=0.5)
>>> match_best_free(overlaps, objects, detections, np.array([0.5, 0.9]), objects.crowd).tolist()
[[0, 1], [0, -1]]
>>> match_best(overlaps, detections, 0.5).tolist()
[0, 0]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import numpy as np

from convolve.errors import OptionError
from convolve.metrics.boxes import box_areas, intersection_areas
from convolve.metrics.confusion import Fractions
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.values import Flags, Indices

_BLOCK = 2**18  # pairs of boxes that are compared together, for memory


@final
@dataclass(frozen=True, eq=False)
class Overlaps:
    """K pairs of a detection and an object of the same image: ``detections`` (K,) and ``objects`` (K,) are rows,
    ``iou`` (K,) is their overlap.

    ``steps`` (K,) says how many detections of the same group (image, or image and class) that overlap an object at all
    come before the pair's. Pairs are in the order of steps, detections, overlaps, whether the classes are the same, and
    objects, all ascending: the last of a detection's pairs is the one it prefers.
    """

    detections: Indices
    objects: Indices
    iou: Fractions
    steps: Indices


def order_by_class(detections: Detections) -> Indices:
    """(D,) rows in the order of classes, then descending scores, then images; then as they are."""
    return np.lexsort((detections.images, -detections.scores, detections.classes)).astype(np.int64)


def rank_in_groups(groups: Indices) -> Indices:
    """(D,) how many of the same group come before each.

    >>> rank_in_groups(np.array([7, 3, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    ranks = np.empty(len(groups), dtype=np.int64)
    ranks[order] = np.arange(len(groups)) - np.searchsorted(ordered, ordered)
    return ranks


def find_overlaps(
    objects: ObjectBoxes, detections: Detections, least: float, *, same_class: bool = True, crowds: bool = True
) -> Overlaps:
    """The pairs with an intersection over union of at least ``least``.

    Detections must be in descending order of score within each image, or, where only pairs of the ``same_class`` are to
    be found, within each image and class. With ``crowds``, the overlap with a crowd is instead the fraction of the
    detection's area that is in it. Raises `OptionError` where ``least`` is not above 0 and at most 1.
    """
    if not 0 < least <= 1:
        raise OptionError(f"An overlap of {least} is no threshold; give one above 0, and at most 1.")
    span = 1 + max((int(part.max()) for part in (objects.classes, detections.classes) if len(part)), default=0)
    own = objects.images * span + objects.classes if same_class else objects.images
    groups = detections.images * span + detections.classes if same_class else detections.images
    by_group = np.argsort(own, kind="stable")
    first = np.searchsorted(own[by_group], groups, side="left")
    counts = np.searchsorted(own[by_group], groups, side="right") - first
    crowd = objects.crowd if crowds else np.zeros_like(objects.crowd)
    found: list[tuple[Indices, Indices, Fractions]] = []
    for rows in _blocks(counts):
        pairs = np.repeat(rows, counts[rows])
        before = np.cumsum(counts[rows]) - counts[rows]
        columns = by_group[np.arange(len(pairs)) + np.repeat(first[rows] - before, counts[rows])]
        iou = _overlap(objects, detections, pairs, columns, crowd)
        near = iou >= least
        found.append((pairs[near], columns[near], iou[near]))
    pairs, columns, iou = (np.concatenate(parts) for parts in zip(*found, strict=True))
    overlapping = pairs[np.diff(pairs, prepend=-1) > 0]
    ranks = np.zeros(len(detections), dtype=np.int64)
    ranks[overlapping] = rank_in_groups(groups[overlapping])
    steps = ranks[pairs]
    same = objects.classes[columns] == detections.classes[pairs]
    order = np.lexsort((columns, same, iou, pairs, steps))
    return Overlaps(pairs[order], columns[order], iou[order], steps[order])


def match_best_free(
    overlaps: Overlaps, objects: ObjectBoxes, detections: Detections, thresholds: Fractions, ignored: Flags
) -> Indices:
    """COCO's rule, for T thresholds: (T, D) the object that each detection finds, -1 for none.

    By descending score, each takes the object of greatest overlap that no other has taken, if the overlap is at least
    the threshold; of equal overlaps one of its own class, then the later object. ``ignored`` (M,) objects come only
    after all others. A crowd can be taken any number of times.
    """
    matches = np.full((len(thresholds), len(detections)), -1, dtype=np.int64)
    taken = np.zeros((len(thresholds), len(objects)), dtype=np.bool_)
    steps = overlaps.steps[-1] + 1 if len(overlaps.steps) else 0
    for start, stop in pairwise(np.searchsorted(overlaps.steps, np.arange(steps + 1))):
        rows, columns = overlaps.detections[start:stop], overlaps.objects[start:stop]
        size = stop - start
        preference = np.arange(size) + np.where(ignored[columns], 0, size)
        free = (overlaps.iou[start:stop] >= thresholds[:, None]) & ~taken[:, columns]
        first_pairs = np.flatnonzero(np.diff(rows, prepend=-1))
        best = np.maximum.reduceat(np.where(free, preference, -1), first_pairs, axis=1)
        which, matched = np.nonzero(best >= 0)
        chosen = columns[best[which, matched] % size]
        matches[which, rows[first_pairs[matched]]] = chosen
        taken[which, chosen] = ~objects.crowd[chosen]
    return matches


def match_best(overlaps: Overlaps, detections: Detections, threshold: float) -> Indices:
    """VOC's rule: (D,) the object of greatest overlap with each detection, whoever else has it; of equal overlaps the
    earlier object; -1 where the overlap is not more than the threshold.
    """
    matches, iou = best_overlaps(overlaps.detections, overlaps.objects, overlaps.iou, len(detections))
    return np.where(iou > threshold, matches, -1)


def best_overlaps(rows: Indices, objects: Indices, iou: Fractions, count: int) -> tuple[Indices, Fractions]:
    """(count,) the object of greatest overlap with each detection, and (count,) that overlap; -1 and 0 without pairs.

    The pairs (K,) may be in any order; of equal overlaps the earlier object counts.
    """
    matches, greatest = np.full(count, -1, dtype=np.int64), np.zeros(count)
    order = np.lexsort((-objects, iou, rows))
    best = order[np.diff(rows[order], append=count) > 0]
    matches[rows[best]] = objects[best]
    greatest[rows[best]] = iou[best]
    return matches, greatest


def _blocks(counts: Indices) -> Iterator[Indices]:
    """Rows in blocks of about `_BLOCK` pairs; at least one block."""
    total = np.cumsum(counts)
    pairs = int(total[-1]) if len(total) else 0
    cuts = np.searchsorted(total, np.arange(_BLOCK, pairs, _BLOCK))
    yield from np.split(np.arange(len(counts)), cuts)


def _overlap(objects: ObjectBoxes, detections: Detections, rows: Indices, columns: Indices, crowd: Flags) -> Fractions:
    """(K,) intersection over union of pairs; over the detection's area for a ``crowd``; 0 where boxes do not meet."""
    one, other = detections.boxes[rows], objects.boxes[columns]
    intersection = intersection_areas(one, other)
    area = box_areas(one)
    union = np.where(crowd[columns], area, area + box_areas(other) - intersection)
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=intersection > 0)
