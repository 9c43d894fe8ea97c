"""The similarity of two regions and a hierarchy, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from convolve.from_scratch.grouping import Region, Similarity, compare_regions, group_regions, merge_regions


def region(size: int, box: tuple[int, int, int, int], color: list[float], texture: list[float]) -> Region:
    return Region(size, box, np.array(color), np.array(texture))


LEFT = region(30, (0, 0, 5, 8), [0.5, 0.5, 0], [1, 0])
MIDDLE = region(10, (5, 0, 8, 5), [0.25, 0.25, 0.5], [0.5, 0.5])
RIGHT = region(20, (8, 2, 10, 12), [0, 0, 1], [0.5, 0.5])


def test_the_four_measures() -> None:
    """The box around both is 8 x 8, so that 64 - 30 - 10 = 24 of 120 pixels are not filled."""
    expected = Similarity(color=0.5, texture=0.5, size=1 - 40 / 120, fill=1 - 24 / 120)
    assert compare_regions(LEFT, MIDDLE, 120) == expected
    assert expected.total == pytest.approx(2.4667, abs=1e-4)
    assert compare_regions(MIDDLE, LEFT, 120) == expected


def test_a_merged_region_has_the_means_by_size() -> None:
    both = merge_regions(LEFT, MIDDLE)
    assert (both.size, both.box) == (40, (0, 0, 8, 8))
    assert both.colors.tolist() == [0.4375, 0.4375, 0.125]
    assert both.textures.tolist() == [0.875, 0.125]


def test_the_most_similar_neighbors_come_first() -> None:
    regions, first, merges = group_regions([LEFT, MIDDLE, RIGHT], [(0, 1), (1, 2)], 120)
    assert {pair: round(each.total, 4) for pair, each in first.items()} == {(0, 1): 2.4667, (1, 2): 3.0}
    assert [(merge.index, merge.pair, merge.compared) for merge in merges] == [(3, (1, 2), 2), (4, (0, 3), 1)]
    assert [each.box for each in regions[3:]] == [(5, 0, 10, 12), (0, 0, 10, 12)]
    assert list(merges[0].neighbors) == [0]
    assert merges[0].neighbors[0] == compare_regions(LEFT, regions[3], 120)


def test_one_region_is_a_hierarchy() -> None:
    assert group_regions([LEFT], [], 120) == ([LEFT], {}, [])
