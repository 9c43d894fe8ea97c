"""Transposed convolutions against torch's own interpolation."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.bilinear import bilinear_kernel, bilinear_upsampling


@pytest.mark.parametrize("factor", [2, 8, 32])
@torch.no_grad()
def test_it_interpolates_inside(factor: int) -> None:
    maps = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    enlarged = bilinear_upsampling(3, 2 * factor, factor, learned=False)(maps)
    half = factor // 2
    assert enlarged.shape[2:] == (6 * factor, 7 * factor)
    wanted = F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    inside = (slice(None), slice(None), slice(half, -half), slice(half, -half))
    torch.testing.assert_close(enlarged[:, :, half:-half, half:-half][inside], wanted[inside])


def test_odd_kernels_peak_in_one_place() -> None:
    kernel = bilinear_kernel(63)
    assert kernel[31, 31] == 1
    assert torch.equal(kernel, kernel.flip(0, 1))
    assert kernel[31, 0] == pytest.approx(1 / 32)


@pytest.mark.parametrize("learned", [True, False])
def test_only_what_is_learned_asks_for_a_gradient(learned: bool) -> None:
    layer = bilinear_upsampling(2, 4, 2, learned=learned)
    assert [value.requires_grad for value in layer.parameters()] == [learned]
    assert not layer.weight[0, 1].any()
