from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.initializers_gaussian import gaussian, uniform

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
