"""The best overlap of each object with the first proposals, against a loop over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from torch import from_numpy
from torchvision.ops import box_iou

from convolve.metrics import proposals
from convolve.metrics.proposals import best_overlaps_of_first


@pytest.mark.parametrize("block", [1, 2**20])
def test_best_overlaps_are_those_of_torchvision(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "_BLOCK", block)
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (60, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 50, (60, 2))], axis=1)
    objects, first = boxes[:20], (0, 1, 7, 40, 1000)
    found = best_overlaps_of_first(objects, boxes[20:], first)
    overlaps = box_iou(from_numpy(objects), from_numpy(boxes[20:])).numpy()
    assert found[:, 0].tolist() == [0.0] * 20
    for column, count in enumerate(first[1:], 1):
        np.testing.assert_allclose(found[:, column], overlaps[:, :count].max(axis=1))


def test_nothing_to_cover_and_nothing_that_covers() -> None:
    assert best_overlaps_of_first(np.zeros((0, 4)), np.ones((3, 4)), (1, 2)).shape == (0, 2)
    assert best_overlaps_of_first(np.array([[0.0, 0, 1, 1]]), np.zeros((0, 4)), (5,)).tolist() == [[0.0]]
