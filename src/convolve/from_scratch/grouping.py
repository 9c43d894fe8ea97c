"""Selective search's grouping, pair by pair: the most similar neighbors become one region, until one is left.

Jasper Uijlings, Koen van de Sande, Theo Gevers and Arnold Smeulders, "Selective search for object recognition", IJCV
2013, section 3.2. `convolve.datasets.region_grouping` does the same for many hierarchies at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array

Pair = tuple[int, int]
"""Two regions by index, the lesser first."""


@dataclass(frozen=True, eq=False)
class Region:
    """A region: its ``size`` in pixels, its ``box`` left, top, right, bottom, and histograms with a sum of 1."""

    size: int
    box: tuple[int, int, int, int]
    colors: Array
    textures: Array


@dataclass(frozen=True)
class Similarity:
    """How similar two regions are, by four measures from 0 to 1."""

    color: float
    texture: float
    size: float
    fill: float

    @property
    def total(self) -> float:
        """The sum, which decides."""
        return self.color + self.texture + self.size + self.fill


@dataclass(frozen=True)
class Merge:
    """A pair that became the region ``index``: its similarity among those ``compared``, and the new neighbors with
    theirs.
    """

    index: int
    pair: Pair
    compared: int
    similarity: Similarity
    neighbors: dict[int, Similarity]


def compare_regions(a: Region, b: Region, area: int) -> Similarity:
    """The similarity of two regions of an image of ``area`` pixels."""
    left, top, right, bottom = box_around(a, b)
    return Similarity(
        float(np.minimum(a.colors, b.colors).sum()),
        float(np.minimum(a.textures, b.textures).sum()),
        1 - (a.size + b.size) / area,
        1 - ((right - left) * (bottom - top) - a.size - b.size) / area,
    )


def box_around(a: Region, b: Region) -> tuple[int, int, int, int]:
    """The box around two regions."""
    (left, top, right, bottom), other = a.box, b.box
    return min(left, other[0]), min(top, other[1]), max(right, other[2]), max(bottom, other[3])


def merge_regions(a: Region, b: Region) -> Region:
    """Two regions as one: each histogram is the mean of theirs, weighted by their sizes."""
    size = a.size + b.size
    colors = (a.size * a.colors + b.size * b.colors) / size
    textures = (a.size * a.textures + b.size * b.textures) / size
    return Region(size, box_around(a, b), colors, textures)


def group_regions(
    regions: Sequence[Region], neighbors: Iterable[Pair], area: int
) -> tuple[list[Region], dict[Pair, Similarity], list[Merge]]:
    """All regions of the hierarchy, those given and then the merged ones, the whole image last; the similarities of the
    first ``neighbors``; and the merges.
    """
    everything = list(regions)
    first = {pair: compare_regions(everything[pair[0]], everything[pair[1]], area) for pair in neighbors}
    current, merges = dict(first), []
    while current:
        pair = max(current, key=lambda each: current[each].total)
        index, compared, similarity = len(everything), len(current), current[pair]
        everything.append(merge_regions(everything[pair[0]], everything[pair[1]]))
        touching = {other for each in current if set(each) & set(pair) for other in each} - set(pair)
        current = {each: value for each, value in current.items() if not set(each) & set(pair)}
        added = {other: compare_regions(everything[other], everything[index], area) for other in sorted(touching)}
        current |= {(other, index): value for other, value in added.items()}
        merges.append(Merge(index, pair, compared, similarity, added))
    return everything, first, merges
