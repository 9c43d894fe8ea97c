from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.initializers_lecun import lecun_fan_in, lecun_uniform
from convolve.layers.subsampling import Subsampling
from convolve.layers.table_convolution import TableConvolution

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
    lecun_fan_in(layer)
    lecun_uniform(layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
