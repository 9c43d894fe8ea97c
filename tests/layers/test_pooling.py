"""Poolings against windows cut out one by one."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.pooling import MinPool2d, Unpooling

SHAPES = [(11, 3, 2, 0), (12, 3, 2, 0), (10, 2, 2, 0), (9, 3, 3, 1), (12, 3, 2, 1), (7, 5, 4, 2), (55, 3, 2, 0)]


def _caffe(side: int, kernel: int, stride: int, padding: int) -> int:
    """Caffe rounds up, then drops a last window that would start beyond the map and the padding before it."""
    count = math.ceil((side + 2 * padding - kernel) / stride) + 1
    return count - 1 if padding and (count - 1) * stride >= side + padding else count


def _windows(maps: Tensor, kernel: int, stride: int, padding: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """Each window of Caffe's, clipped to the padded map, reduced to one value."""
    side = maps.shape[2]
    starts = [index * stride for index in range(_caffe(side, kernel, stride, padding))]
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


@pytest.mark.parametrize("size", [(45, 60), (8, 6), (1, 3)])
def test_values_go_back_to_where_torch_found_them(size: tuple[int, int]) -> None:
    pooled = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    maxima, positions = nn.MaxPool2d(2, ceil_mode=True, return_indices=True)(pooled)
    values = torch.rand(maxima.shape, generator=torch.Generator().manual_seed(2))
    found = Unpooling()(values, pooled)
    assert torch.equal(found, nn.MaxUnpool2d(2)(values, positions, output_size=size))
    assert torch.equal(found.flatten(2).gather(2, positions.flatten(2)), values.flatten(2))
    back = Unpooling()(maxima, pooled)
    assert torch.equal(back, pooled * (back != 0))


def test_the_first_of_equal_values_gets_it() -> None:
    found = Unpooling()(torch.tensor([[[[5.0]]]]), torch.zeros(1, 1, 2, 2))
    assert found.tolist() == [[[[5.0, 0.0], [0.0, 0.0]]]]


def test_gradients_reach_the_values_and_not_the_positions() -> None:
    values, pooled = torch.ones(1, 1, 2, 2, requires_grad=True), torch.rand(1, 1, 4, 4, requires_grad=True)
    torch.autograd.backward(Unpooling()(values, pooled).sum())
    assert values.grad is not None
    assert torch.equal(values.grad, torch.ones(1, 1, 2, 2))
    assert pooled.grad is None
