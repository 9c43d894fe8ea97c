"""Means over rectangles against torch's adaptive pooling."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from convolve.layers import area_table
from convolve.layers.area_table import AreaTable


@pytest.mark.parametrize("most", [area_table._MOST, 0])
@pytest.mark.parametrize("side", [1, 7, 24])
def test_means_are_those_of_adaptive_pooling(side: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(area_table, "_MOST", most)
    image = torch.randint(0, 256, (3, 37, 53), generator=torch.Generator().manual_seed(1)).float()
    boxes = torch.tensor([[0, 0, 53, 37], [5, 2, 6, 3], [10, 4, 45, 36], [50, 30, 53, 37]])
    found = AreaTable(image).means(boxes, side)
    for (left, top, right, bottom), own in zip(boxes.tolist(), found, strict=True):
        expected = adaptive_avg_pool2d(image[:, top:bottom, left:right].double(), side)
        torch.testing.assert_close(own.double(), expected, rtol=1e-6, atol=1e-4)
