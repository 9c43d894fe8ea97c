"""Regions and their grouping, against counting pixel by pixel and against the plain grouping of `from_scratch`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from convolve.datasets import region_grouping
from convolve.datasets.region_grouping import Measures, Regions, describe_regions, group_regions, texture_bins
from convolve.from_scratch import grouping
from convolve.values import Indices

ALL: Measures = ("color", "texture", "size", "fill")
seeds = st.integers(0, 2**32 - 1)
ROUNDING = 1e-5


def random_labels(random: np.random.Generator, count: int) -> Indices:
    """An image in which each pixel belongs to the nearest of some points, so that all regions are connected."""
    height, width = random.integers(8, 20, 2).tolist()
    points = random.permutation(height * width)[:count]
    y, x = np.mgrid[:height, :width]
    distances = (y[..., None] - points // width) ** 2 + (x[..., None] - points % width) ** 2
    labels: Indices = distances.argmin(axis=2).astype(np.int64)
    return labels


def random_regions(seed: int, count: int) -> Regions:
    random = np.random.default_rng(seed)
    labels = random_labels(random, count)
    channels = random.integers(0, 256, (*labels.shape, 3)).astype(np.uint8)
    return describe_regions(labels, channels, texture_bins(channels))


@settings(max_examples=25)
@given(seeds, st.integers(1, 9))
def test_regions_are_described_as_counting_does(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    labels = random_labels(random, count)
    channels = random.integers(0, 256, (*labels.shape, 3)).astype(np.uint8)
    textures = texture_bins(channels)
    found = describe_regions(labels, channels, textures)
    assert len(found) == count
    pairs = set()
    for y, x in np.ndindex(labels.shape):
        for below, right in ((1, 0), (0, 1)):
            if y + below < labels.shape[0] and x + right < labels.shape[1]:
                pairs.add(tuple(sorted((int(labels[y, x]), int(labels[y + below, x + right])))))
    assert {tuple(pair) for pair in found.neighbors.tolist()} == {pair for pair in pairs if len(set(pair)) == 2}
    for index in range(count):
        y, x = np.nonzero(labels == index)
        assert found.sizes[index] == len(y)
        assert found.boxes[index].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        expected = [np.histogram(channels[y, x, c], 25, (0, 275))[0] for c in range(3)]
        np.testing.assert_allclose(found.colors[index], np.concatenate(expected) / (3 * len(y)), rtol=1e-6)
        expected = [np.bincount(part.reshape(labels.shape)[y, x], minlength=19) for part in textures]
        np.testing.assert_allclose(found.textures[index], np.concatenate(expected) / (12 * len(y)), rtol=1e-6)


def test_textures_tell_the_direction_of_an_edge() -> None:
    step = np.zeros((15, 15, 1), np.uint8)
    step[:, 8:] = 200
    across, along, rising, falling = (part.reshape(15, 15)[7, 7] for part in texture_bins(step))
    assert (across, rising, falling) == (18, 18, 18)
    assert along == 9  # of 19 bins from the negative to the positive greatest one, 0 is in the middle one
    across, _, _, _ = (part.reshape(15, 15)[7, 7] for part in texture_bins(200 - step))
    assert across == 0


def has_no_ties(first: Mapping[grouping.Pair, grouping.Similarity], merges: Sequence[grouping.Merge]) -> bool:
    """Whether at each merge one pair is more similar than all others by more than what float32 rounds."""
    current = {pair: similarity.total for pair, similarity in first.items()}
    for merge in merges:
        others = [total for pair, total in current.items() if pair != merge.pair]
        if others and merge.similarity.total - max(others) < ROUNDING:
            return False
        current = {pair: total for pair, total in current.items() if not set(pair) & set(merge.pair)}
        current |= {(other, merge.index): similarity.total for other, similarity in merge.neighbors.items()}
    return True


@example(seed=437173, counts=[8])
@settings(max_examples=40)
@given(seeds, st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_all_groupings_at_once_are_those_one_by_one(seed: int, counts: list[int]) -> None:
    regions = [random_regions(seed + index, count) for index, count in enumerate(counts)]
    found = group_regions(regions, [ALL, ("size",), ALL])
    assert len(found) == 3 * len(regions)
    for index, given_regions in enumerate(regions):
        plain = [
            grouping.Region(
                int(size),
                (int(box[0]), int(box[1]), int(box[2]), int(box[3])),
                colors.astype(np.float64),
                textures.astype(np.float64),
            )
            for size, box, colors, textures in zip(
                given_regions.sizes, given_regions.boxes, given_regions.colors, given_regions.textures, strict=True
            )
        ]
        pairs = [(a, b) for a, b in given_regions.neighbors.tolist()]
        expected, first, merges = grouping.group_regions(plain, pairs, given_regions.area)
        assume(has_no_ties(first, merges))
        boxes = [list(region.box) for region in expected]
        assert found[3 * index].tolist() == found[3 * index + 2].tolist() == boxes
        assert len(found[3 * index + 1]) == len(boxes)


def test_groupings_that_do_not_fit_together_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = [random_regions(seed, count) for seed, count in enumerate((3, 9, 1, 6))]
    expected = [boxes.tolist() for boxes in group_regions(regions, [ALL, ("fill",)])]
    monkeypatch.setattr(region_grouping, "_ENTRIES", 150)
    assert [boxes.tolist() for boxes in group_regions(regions, [ALL, ("fill",)])] == expected


def test_a_measure_decides_what_is_merged() -> None:
    """Four regions in a row: 0 and 1 are alike in color, 1 and 2 in texture, and 2 and 3 are the smallest."""
    sizes = np.array([300, 200, 60, 40], np.float32)
    boxes = np.array([[0, 0, 30, 10], [30, 0, 50, 10], [50, 0, 56, 10], [56, 0, 60, 10]], np.float32)
    colors = np.eye(4, dtype=np.float32)[[0, 0, 1, 2]]
    textures = np.eye(4, dtype=np.float32)[[0, 1, 1, 2]]
    neighbors = np.array([[0, 1], [1, 2], [2, 3]])
    regions = Regions(sizes, boxes, colors, textures, neighbors, 600)
    merged = {
        measure: group_regions([regions], [(measure,)])[0][4].tolist() for measure in ("color", "texture", "size")
    }
    assert merged == {"color": [0, 0, 50, 10], "texture": [30, 0, 56, 10], "size": [50, 0, 60, 10]}
