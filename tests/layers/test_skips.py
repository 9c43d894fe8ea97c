from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convolve.layers.skips import SkipMap, Skips, bilinear_kernel, bilinear_upsampling


def _head(*, learned: bool = True, scale: float = 1.0) -> Skips:
    head = Skips(3, {"fine": SkipMap(4, 8, 3.5, scale), "coarse": SkipMap(5, 16, 7.5)}, learned=learned)
    random = torch.Generator().manual_seed(0)
    for layer in head.scores.values():
        assert isinstance(layer, nn.Conv2d)
        nn.init.normal_(layer.weight, generator=random)
    return head


def _maps() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.rand(2, 4, 7, 9, generator=random), torch.rand(2, 5, 4, 5, generator=random)]


def test_scores_start_at_zero_and_are_as_large_as_the_image() -> None:
    head = Skips(3, {"fine": SkipMap(4, 8, 3.5), "coarse": SkipMap(5, 16, 7.5)}, learned=True)
    scores = head(_maps(), (50, 70))
    assert scores.shape == (2, 3, 50, 70)
    assert not scores.any()


@torch.no_grad()
def test_even_maps_are_enlarged_by_half_a_kernel_less() -> None:
    assert _head().starts == {"coarse": -1, "fine": -4}


@torch.no_grad()
def test_the_sum_of_both_maps_each_enlarged_alone() -> None:
    head, (fine, coarse) = _head(), _maps()
    both = head([fine, coarse], (50, 70))
    alone = head([fine, coarse * 0], (50, 70)) + head([fine * 0, coarse], (50, 70))
    torch.testing.assert_close(both, alone)


@torch.no_grad()
def test_a_scale_multiplies_the_map_and_not_the_bias() -> None:
    fine, coarse = _maps()
    scaled, plain = _head(scale=0.01), _head()
    for head in (scaled, plain):
        bias = head.get_parameter("scores.fine.bias")
        bias.fill_(1.5)
    torch.testing.assert_close(scaled([fine, coarse], (56, 72)), plain([fine * 0.01, coarse], (56, 72)))


def test_only_upsampling_between_maps_is_learned() -> None:
    fixed = {"enlarge.fine.weight": False, "enlarge.coarse.weight": False}
    for learned in (True, False):
        asked = {n: value.requires_grad for n, value in _head(learned=learned).named_parameters() if "enlarge" in n}
        assert asked == fixed | {"enlarge.coarse.weight": learned}


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
