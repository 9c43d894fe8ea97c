from __future__ import annotations

import pytest
import torch

from convolve.layers.squeeze_excitation import SqueezeExcitation


def test_each_channel_is_scaled_by_its_gate() -> None:
    layer = SqueezeExcitation(32)
    maps = torch.randn(3, 32, 4, 5, generator=torch.Generator().manual_seed(0))
    down, up = layer.down.weight[:, :, 0, 0], layer.up.weight[:, :, 0, 0]
    assert layer.down.bias is not None
    assert layer.up.bias is not None
    hidden = torch.relu(maps.mean((2, 3)) @ down.T + layer.down.bias)
    gates = torch.sigmoid(hidden @ up.T + layer.up.bias)
    torch.testing.assert_close(layer(maps), maps * gates[:, :, None, None])


def test_gradient_is_that_of_finite_differences() -> None:
    layer = SqueezeExcitation(4).double()
    maps = torch.randn(2, 4, 2, 3, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, maps)


@pytest.mark.parametrize(("channels", "squeezed"), [(256, 16), (320, 20), (1056, 66), (3, 1)])
def test_a_sixteenth_stands_between_the_dense_layers(channels: int, squeezed: int) -> None:
    layer = SqueezeExcitation(channels)
    assert layer.down.out_channels == squeezed
    assert sum(value.numel() for value in layer.parameters()) == 2 * channels * squeezed + squeezed + channels
