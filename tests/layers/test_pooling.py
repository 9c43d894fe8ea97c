"""Poolings against windows cut out one by one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.layers.pooling import MinPool2d

SHAPES = [(11, 3, 2, 0), (12, 3, 2, 0), (10, 2, 2, 0), (9, 3, 3, 1), (12, 3, 2, 1), (7, 5, 4, 2), (55, 3, 2, 0)]


def _caffe(side: int, kernel: int, stride: int, padding: int) -> int:
    """Caffe rounds up, then drops a last window that would start beyond the map and the padding before it."""
    count = math.ceil((side + 2 * padding - kernel) / stride) + 1
    return count - 1 if padding and (count - 1) * stride >= side + padding else count


def _windows(maps: Tensor, kernel: int, stride: int, padding: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Each window of Caffe's, clipped to the padded map, reduced to one value."""
    side = maps.shape[2]
    starts = [place * stride for place in range(_caffe(side, kernel, stride, padding))]
    padded = F.pad(maps, (padding,) * 4)
    rows = [
        torch.stack([reduce(padded[:, :, top : top + kernel, left : left + kernel].flatten(2)) for left in starts], -1)
        for top in starts
    ]
    return torch.stack(rows, -2)


@pytest.mark.parametrize(("side", "kernel", "stride", "padding"), SHAPES)
def test_torch_rounds_up_as_caffe_does(side: int, kernel: int, stride: int, padding: int) -> None:
    maps = torch.rand(1, 2, side, side, generator=torch.Generator().manual_seed(0))  # padding never is the maximum
    found = F.max_pool2d(maps, kernel, stride, padding, ceil_mode=True)
    torch.testing.assert_close(found, _windows(maps, kernel, stride, padding, lambda window: window.amax(-1)))
    found = F.avg_pool2d(maps, kernel, stride, padding, ceil_mode=True)
    torch.testing.assert_close(found, _windows(maps, kernel, stride, padding, lambda window: window.mean(-1)))


@pytest.mark.parametrize(("side", "kernel", "stride", "padding"), [shape for shape in SHAPES if not shape[3]])
def test_minimum_of_each_window(side: int, kernel: int, stride: int, padding: int) -> None:
    maps = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    found = MinPool2d(kernel, stride, ceil_mode=True)(maps)
    assert torch.equal(found, _windows(maps, kernel, stride, padding, lambda window: window.amin(-1)))


def test_minimum_rounds_down_unless_asked() -> None:
    maps = torch.arange(25.0).view(1, 1, 5, 5)
    assert MinPool2d()(maps).flatten().tolist() == [0, 2, 10, 12]
    assert MinPool2d(ceil_mode=True)(maps).shape == (1, 1, 3, 3)
    assert torch.autograd.gradcheck(MinPool2d(), maps.double().requires_grad_())
