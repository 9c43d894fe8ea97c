from __future__ import annotations

import torch
from torch import nn

from convolve.layers.shortcuts import always_projected, zero_padded


def test_option_a_takes_every_second_pixel_and_adds_channels_of_zeros() -> None:
    maps = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = zero_padded(3, 8, 2)(maps)
    assert torch.equal(found[:, :3], maps[:, :, ::2, ::2])
    assert found.shape == (2, 8, 3, 3)
    assert not found[:, 3:].any()
    (gradient,) = torch.autograd.grad(found.sum(), maps)
    assert float(gradient.sum()) == 2 * 3 * 9


def test_option_a_has_no_parameters_and_is_the_identity_where_the_shape_stays() -> None:
    assert not list(zero_padded(3, 8, 2).parameters())
    assert isinstance(zero_padded(8, 8, 1), nn.Identity)


def test_option_c_projects_even_where_the_shape_stays() -> None:
    assert sum(value.numel() for value in always_projected(8, 8, 1).parameters()) == 64 + 16
