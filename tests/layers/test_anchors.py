from __future__ import annotations

import pytest
import torch

from convolve.layers.anchors import fit_anchors, mean_best_overlap
from convolve.layers.overlaps import size_overlaps

CENTERS = torch.tensor([[12.0, 20], [60, 30], [45, 110], [200, 160]])


def _sides(seed: int = 0) -> torch.Tensor:
    """Four kinds of boxes, 50 of each."""
    random = torch.Generator().manual_seed(seed)
    return (CENTERS.repeat(50, 1) * (1 + 0.1 * torch.randn(200, 2, generator=random))).clamp(min=1)


def test_kinds_of_boxes_are_found_from_small_to_large() -> None:
    anchors = fit_anchors(_sides(), 4, seed=0)
    assert anchors.shape == (4, 2)
    torch.testing.assert_close(anchors, CENTERS, rtol=0.06, atol=0)


def test_each_anchor_is_the_mean_of_the_sides_that_are_most_like_it() -> None:
    random = torch.Generator().manual_seed(3)
    sides = torch.rand(300, 2, generator=random) * 200 + 4
    anchors = fit_anchors(sides, 7, seed=5)
    nearest = size_overlaps(sides[:, None], anchors).argmax(1)
    means = torch.stack([sides[nearest == index].mean(0) for index in range(7)])
    torch.testing.assert_close(anchors, means, rtol=1e-5, atol=1e-4)


def test_the_seed_decides() -> None:
    sides = torch.rand(300, 2, generator=torch.Generator().manual_seed(3)) * 200 + 4
    state = torch.random.get_rng_state()
    first, again, other = (fit_anchors(sides, 9, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("sides", [[[10.0, 20.0]], [[10.0, 20.0], [30.0, 30.0]], [[10.0, 20.0]] * 40])
def test_fewer_sizes_than_anchors_give_some_twice(sides: list[list[float]]) -> None:
    anchors = fit_anchors(torch.tensor(sides), 5, seed=0)
    assert anchors.shape == (5, 2)
    assert {tuple(anchor) for anchor in anchors.tolist()} == {tuple(side) for side in sides}


def test_the_mean_overlap_of_the_best_anchor() -> None:
    sides, anchors = torch.tensor([[10.0, 10], [20, 10], [5, 5]]), torch.tensor([[10.0, 10], [40, 40]])
    assert mean_best_overlap(sides, anchors) == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert mean_best_overlap(_sides(), fit_anchors(_sides(), 4, 0)) > 0.85
