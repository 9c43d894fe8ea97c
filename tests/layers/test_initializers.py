from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convolve.layers.initializers import glorot_uniform, he_normal, orthogonal


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


def test_other_layers_are_left_alone() -> None:
    layer = nn.BatchNorm2d(3)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    he_normal(layer)
    glorot_uniform(layer)
    orthogonal(layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
