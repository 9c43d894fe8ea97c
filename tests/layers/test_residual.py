from __future__ import annotations

import torch
from torch import nn

from convolve.layers.residual import Residual, projection, projection_always, zero_padding


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


def test_the_input_is_not_overwritten() -> None:
    branch = nn.Conv2d(4, 4, 1)
    maps = torch.randn(1, 4, 5, 5)
    before = maps.clone()
    Residual(branch, nn.Identity(), 4)(maps)
    assert torch.equal(maps, before)


def test_there_is_a_projection_only_where_the_shape_changes() -> None:
    assert isinstance(projection(8, 8, 1), nn.Identity)
    for outputs, stride in ((8, 2), (16, 1)):
        shape = projection(8, outputs, stride)(torch.zeros(1, 8, 6, 6)).shape
        assert shape == (1, outputs, 6 // stride, 6 // stride)


def test_option_a_takes_every_second_pixel_and_adds_channels_of_zeros() -> None:
    maps = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = zero_padding(3, 8, 2)(maps)
    assert torch.equal(found[:, :3], maps[:, :, ::2, ::2])
    assert found.shape == (2, 8, 3, 3)
    assert not found[:, 3:].any()
    (gradient,) = torch.autograd.grad(found.sum(), maps)
    assert float(gradient.sum()) == 2 * 3 * 9


def test_option_a_has_no_parameters_and_is_the_identity_where_the_shape_stays() -> None:
    assert not list(zero_padding(3, 8, 2).parameters())
    assert isinstance(zero_padding(8, 8, 1), nn.Identity)


def test_option_c_projects_even_where_the_shape_stays() -> None:
    assert sum(value.numel() for value in projection_always(8, 8, 1).parameters()) == 64 + 16
