from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.initializers import (
    gaussian,
    glorot_uniform,
    he_normal,
    lecun_fan_in,
    lecun_uniform,
    orthogonal,
    uniform,
)
from convolve.layers.lecun import Subsampling, TableConvolution


@pytest.mark.parametrize("layer", [nn.Conv2d(40, 80, 5), nn.Linear(400, 300)])
def test_spread_follows_the_fans(layer: nn.Conv2d | nn.Linear) -> None:
    window = math.prod(layer.weight.shape[2:])
    fan_in, fan_out = window * layer.weight.shape[1], window * layer.weight.shape[0]
    glorot_uniform(layer)
    limit = math.sqrt(6 / (fan_in + fan_out))
    assert 0.99 * limit < float(layer.weight.detach().abs().max()) <= limit
    he_normal(layer)
    assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / fan_in), rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.any()


@pytest.mark.parametrize("layer", [nn.Conv2d(40, 80, 5), nn.Linear(400, 300), nn.Linear(300, 400)])
def test_orthogonal_weights_keep_lengths(layer: nn.Conv2d | nn.Linear) -> None:
    orthogonal(layer)
    lengths = torch.linalg.svdvals(layer.weight.detach().flatten(1))
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    assert layer.bias is not None
    assert not layer.bias.any()


LAYERS = [nn.Conv2d(40, 80, 5), nn.Linear(400, 300), nn.Conv2d(40, 80, 5, bias=False)]


@pytest.mark.parametrize("layer", LAYERS)
def test_spread_is_as_asked_whatever_the_fan(layer: nn.Conv2d | nn.Linear) -> None:
    assert gaussian(layer, 0.01, bias=1.0) is layer
    assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert float(layer.weight.detach().abs().max()) > 0.035
    assert layer.bias is None or bool((layer.bias == 1).all())
    assert uniform(layer, 0.005) is layer
    assert 0.0049 < float(layer.weight.detach().abs().max()) <= 0.005
    assert float(layer.weight.detach().std()) == pytest.approx(0.005 / 3**0.5, rel=0.02)
    assert layer.bias is None or not torch.any(layer.bias)


DENSE = [(nn.Conv2d(4, 200, 5), 100), (nn.Linear(300, 200), 300)]


def _within(values: Tensor | None, limit: float) -> bool:
    assert values is not None
    return 0.9 * limit < float(values.detach().abs().max()) <= limit


@pytest.mark.parametrize(("layer", "fan_in"), DENSE)
def test_dense_layers(layer: nn.Conv2d | nn.Linear, fan_in: int) -> None:
    lecun_fan_in(layer)
    assert _within(layer.weight, 2.4 / fan_in)
    assert _within(layer.bias, 2.4 / fan_in)
    lecun_uniform(layer)
    assert _within(layer.weight, math.sqrt(3 / fan_in))
    assert float(layer.weight.detach().var()) == pytest.approx(1 / fan_in, rel=0.05)
    assert layer.bias is not None
    assert not layer.bias.any()


def test_a_unit_of_sub_sampling_has_four_inputs() -> None:
    layer = Subsampling(200)
    lecun_fan_in(layer)
    assert _within(layer.weight, 0.6)
    assert _within(layer.bias, 0.6)


def test_each_connection_has_the_fan_in_of_its_output() -> None:
    layer = TableConvolution(4, ((0,), (0, 1, 2, 3)) * 50, 5)
    lecun_fan_in(layer)
    kernels = layer.weight.detach().view(50, 5, 5, 5)
    assert _within(kernels[:, 0], 2.4 / 25)
    assert _within(kernels[:, 1:], 2.4 / 100)
    assert _within(layer.bias[::2], 2.4 / 25)
    assert _within(layer.bias[1::2], 2.4 / 100)


def test_other_layers_are_left_alone() -> None:
    layer = nn.BatchNorm2d(3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    for rule in (he_normal, glorot_uniform, orthogonal, lecun_fan_in, lecun_uniform):
        rule(layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
