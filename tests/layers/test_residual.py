from __future__ import annotations

import torch
from torch import nn

from convolve.layers.residual import Residual, projection


def test_sum_and_gradient_are_the_formulas() -> None:
    branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
    layer = Residual(branch, nn.Identity(), 4)
    maps = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = torch.relu(branch(maps) + maps)
    (wanted,) = torch.autograd.grad(expected.square().sum(), maps)
    found = layer(maps)
    (gradient,) = torch.autograd.grad(found.square().sum(), maps)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, wanted)


def test_the_input_is_not_written_over() -> None:
    branch = nn.Conv2d(4, 4, 1)
    maps = torch.randn(1, 4, 5, 5)
    before = maps.clone()
    Residual(branch, nn.Identity(), 4)(maps)
    assert torch.equal(maps, before)


def test_a_projection_stands_only_where_the_shape_changes() -> None:
    assert isinstance(projection(8, 8, 1), nn.Identity)
    for outputs, stride in ((8, 2), (16, 1)):
        shape = projection(8, outputs, stride)(torch.zeros(1, 8, 6, 6)).shape
        assert shape == (1, outputs, 6 // stride, 6 // stride)
