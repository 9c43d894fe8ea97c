"""Regions of an image, and grouping them: the most similar neighbors become one region until one is left.

Jasper Uijlings, Koen van de Sande, Theo Gevers and Arnold Smeulders, "Selective search for object recognition", IJCV
2013, section 3.2: four measures from 0 to 1 say how similar two regions are, and their sum decides.

Deviations: a direction's histogram has one axis of 19 bins instead of 10 for each sign, of which those at 0 are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, final

import cv2
import numpy as np

from convolve.values import Floats, Indices, Pixels

Measure = Literal["color", "texture", "size", "fill"]
Measures = tuple[Measure, ...]
"""What a similarity is the sum of."""
COLOR_BINS = 25
TEXTURE_BINS = 19
DIRECTIONS = 4
_RADIUS = 3  # pixels of the derivative's kernel, at a deviation of 1
_ENTRIES = 2**24  # similarities of all pairs in groupings that advance together, which may be more of a single image
_NONE = np.float32(-1)  # the similarity of regions that are no neighbors


@final
@dataclass(frozen=True, eq=False)
class Regions:
    """R regions of an image: ``sizes`` (R,) in pixels, ``boxes`` (R, 4) left, top, right, bottom, histograms of
    ``colors`` (R, n) and of ``textures`` (R, m), each with a sum of 1, and the ``neighbors`` (P, 2), each pair once.
    ``area`` is the image's in pixels.
    """

    sizes: Floats
    boxes: Floats
    colors: Floats
    textures: Floats
    neighbors: Indices
    area: int

    def __len__(self) -> int:
        return len(self.sizes)


def texture_bins(channels: Pixels) -> list[Pixels]:
    """The bin of each pixel (H * W,) in each channel's histogram of each direction: derivatives of a Gaussian, sigma 1.

    The bins divide the derivatives of a channel and direction from the negative to the positive greatest one.
    """
    x = np.arange(-_RADIUS, _RADIUS + 1)
    smooth = np.exp(-(x**2) / 2)
    smooth /= smooth.sum()
    derivative = x * smooth
    bins = []
    for channel in cv2.split(channels):
        dx = cv2.sepFilter2D(channel, cv2.CV_32F, derivative, smooth, borderType=cv2.BORDER_REFLECT)
        dy = cv2.sepFilter2D(channel, cv2.CV_32F, smooth, derivative, borderType=cv2.BORDER_REFLECT)
        for response in (dx, dy, dx + dy, dx - dy):
            greatest = max(float(np.abs(response).max()), 1e-6)
            scaled = cv2.convertScaleAbs(response + greatest, alpha=(TEXTURE_BINS - 1e-3) / (2 * greatest), beta=-0.5)
            bins.append(np.asarray(scaled, np.uint8).ravel())
    return bins


def describe_regions(labels: Indices, channels: Pixels, textures: Sequence[Pixels]) -> Regions:
    """The regions of ``labels`` (H, W), which count from 0, by the ``channels`` (H, W, C) and their `texture_bins`."""
    count = int(labels.max()) + 1
    flat = labels.ravel()
    sizes = np.bincount(flat, minlength=count)
    colors = [channels[:, :, index].ravel() // np.uint8(256 // COLOR_BINS + 1) for index in range(channels.shape[2])]
    return Regions(
        sizes.astype(np.float32),
        _bounding_boxes(labels),
        _histograms(flat, count, colors, COLOR_BINS),
        _histograms(flat, count, textures, TEXTURE_BINS),
        _adjacent_pairs(labels, count),
        labels.size,
    )


def _bounding_boxes(labels: Indices) -> Floats:
    from scipy import ndimage  # type: ignore[import-untyped]

    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels + 1)]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _histograms(labels: Indices, count: int, bins: Sequence[Pixels], length: int) -> Floats:
    """(count, len(bins) * length), each row with a sum of 1."""
    starts = labels * length
    parts = [np.bincount(starts + part, minlength=count * length).reshape(count, length) for part in bins]
    histograms = np.concatenate(parts, axis=1).astype(np.float32)
    histograms /= histograms.sum(axis=1, keepdims=True)
    return histograms


def _adjacent_pairs(labels: Indices, count: int) -> Indices:
    """(P, 2) labels of which some pixels share a side, the lesser first."""
    codes = []
    for first, second in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        differ = first != second
        a, b = first[differ], second[differ]
        codes.append(np.minimum(a, b) * count + np.maximum(a, b))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)


def group_regions(regions: Sequence[Regions], measures: Sequence[Measures]) -> list[Floats]:
    """The boxes (2 R - 1, 4) of all regions that grouping has: those given and then the merged ones, the whole image
    last. There is a grouping for each of the ``regions`` by each of the ``measures``, in this order.

    All groupings advance together, one merge a step, so that each step is a few operations on arrays of all of them.
    """
    order = sorted(
        range(len(regions)), key=lambda index: -len(regions[index])
    )  # so that the unfinished ones come first
    results: dict[tuple[int, int], Floats] = {}
    while order:
        entries = len(measures) * len(regions[order[0]]) ** 2
        part, order = order[: max(1, _ENTRIES // entries)], order[max(1, _ENTRIES // entries) :]
        merged = iter(_Grouping.start([regions[index] for index in part], measures).run())
        for index, which in product(part, range(len(measures))):
            first = regions[index].boxes
            results[index, which] = np.concatenate([first, next(merged)[: len(first) - 1]])
    return [results[key] for key in sorted(results)]


@dataclass
class _Grouping:
    """G groupings of at most R regions each, those with more regions first; a merged region takes its first part's row.

    ``similarity`` is (G, R, R); ``best`` (G, R) is the greatest of each row, and ``partner`` where it is.
    """

    counts: Indices
    areas: Floats
    weights: Floats
    sizes: Floats
    boxes: Floats
    histograms: Floats
    split: int
    similarity: Floats
    best: Floats
    partner: Indices

    @classmethod
    def start(cls, regions: Sequence[Regions], measures: Sequence[Measures]) -> _Grouping:
        most, repeats = len(regions[0]), len(measures)
        total = len(regions) * repeats
        split = regions[0].colors.shape[1]
        names = ("color", "texture", "size", "fill")
        weights = np.array([[name in chosen for name in names] for chosen in measures] * len(regions), np.float32)
        grouping = cls(
            np.repeat([len(part) for part in regions], repeats),
            np.repeat(np.array([part.area for part in regions], np.float32), repeats),
            weights,
            np.zeros((total, most), np.float32),
            np.zeros((total, most, 4), np.float32),
            np.zeros((total, most, split + regions[0].textures.shape[1]), np.float32),
            split,
            np.full((total, most, most), _NONE),
            np.zeros((total, most), np.float32),
            np.zeros((total, most), np.int64),
        )
        for index, part in enumerate(regions):
            rows = slice(index * repeats, (index + 1) * repeats)
            grouping.sizes[rows, : len(part)] = part.sizes
            grouping.boxes[rows, : len(part)] = part.boxes
            grouping.histograms[rows, : len(part), :split] = part.colors
            grouping.histograms[rows, : len(part), split:] = part.textures
            for row in range(rows.start, rows.stop):
                first, second = part.neighbors.T
                values = grouping.similarities(np.full(len(first), row), first, second)
                grouping.similarity[row, first, second] = grouping.similarity[row, second, first] = values
        grouping.partner[:] = grouping.similarity.argmax(axis=2)
        grouping.best[:] = grouping.similarity.max(axis=2)
        return grouping

    def similarities(self, rows: Indices, first: Indices, second: Indices) -> Floats:
        """(M,) of M pairs of regions, each of the grouping in ``rows``."""
        sizes = self.sizes[rows, first] + self.sizes[rows, second]
        common = np.minimum(self.histograms[rows, first], self.histograms[rows, second])
        a, b = self.boxes[rows, first], self.boxes[rows, second]
        sides = np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2])
        weights, areas = self.weights[rows], self.areas[rows]
        similarities: Floats = (
            weights[:, 0] * common[:, : self.split].sum(axis=1)
            + weights[:, 1] * common[:, self.split :].sum(axis=1)
            + weights[:, 2] * (1 - sizes / areas)
            + weights[:, 3] * (1 - (sides[:, 0] * sides[:, 1] - sizes) / areas)
        )
        return similarities

    def run(self) -> Floats:
        """Merge until each grouping has one region; the boxes (G, R - 1, 4) of the merged ones, in their order."""
        most = int(self.counts[0])
        merged = np.zeros((len(self.counts), max(0, most - 1), 4), np.float32)
        for step in range(most - 1):
            active = int((self.counts > step + 1).sum())
            merged[:active, step] = self._merge(np.arange(active))
        return merged

    def _merge(self, rows: Indices) -> Floats:
        """Merge the most similar pair of each of the groupings in ``rows``, all that are unfinished; their boxes."""
        first = self.best[: len(rows)].argmax(axis=1)
        second = self.partner[rows, first]
        sizes = np.stack([self.sizes[rows, first], self.sizes[rows, second]])
        ratios = (sizes / sizes.sum(axis=0))[:, :, None]
        self.histograms[rows, first] *= ratios[0]
        self.histograms[rows, first] += ratios[1] * self.histograms[rows, second]
        self.sizes[rows, first] += sizes[1]
        a, b = self.boxes[rows, first], self.boxes[rows, second]
        boxes = np.concatenate([np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])], axis=1)
        self.boxes[rows, first] = boxes
        touched = np.maximum(self.similarity[rows, first], self.similarity[rows, second]) > _NONE
        touched[rows, first] = touched[rows, second] = False
        for line in (first, second):
            self.similarity[rows, line] = _NONE
            self.similarity[rows, :, line] = _NONE
        self.best[rows, second] = _NONE
        self._connect(rows, first, second, np.nonzero(touched))
        return boxes

    def _connect(self, rows: Indices, first: Indices, second: Indices, touched: tuple[Indices, ...]) -> None:
        """Renew the similarities of the merged regions, whose row is ``first``, and their ``touched`` neighbors."""
        row, neighbor = touched
        merged = first[row]
        values = self.similarities(row, merged, neighbor)
        self.similarity[row, merged, neighbor] = self.similarity[row, neighbor, merged] = values
        partner = self.partner[row, neighbor]
        better = values > self.best[row, neighbor]
        lost = ~better & ((partner == merged) | (partner == second[row]))
        self.best[row[better], neighbor[better]] = values[better]
        self.partner[row[better], neighbor[better]] = merged[better]
        for grouping, line in ((row[lost], neighbor[lost]), (rows, first)):
            similarity = self.similarity[grouping, line]
            self.partner[grouping, line] = similarity.argmax(axis=1)
            self.best[grouping, line] = similarity.max(axis=1)
