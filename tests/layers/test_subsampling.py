from __future__ import annotations

import torch
from torch.nn import functional as F

from convolve.layers.subsampling import Subsampling


def _layer(channels: int) -> Subsampling:
    layer = Subsampling(channels)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
    return layer


def _maps(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_four_inputs_are_added_multiplied_by_a_coefficient_and_added_to_a_bias() -> None:
    layer, maps = _layer(3), _maps(2, 3, 6, 4)
    added = maps[:, :, ::2, ::2] + maps[:, :, 1::2, ::2] + maps[:, :, ::2, 1::2] + maps[:, :, 1::2, 1::2]
    wanted = added * layer.weight.view(1, 3, 1, 1) + layer.bias.view(1, 3, 1, 1)
    torch.testing.assert_close(layer(maps), wanted)


def test_it_starts_as_the_mean_and_drops_an_odd_edge() -> None:
    maps = _maps(2, 3, 7, 5)
    torch.testing.assert_close(Subsampling(3)(maps), F.avg_pool2d(maps, 2))


def test_gradient_is_that_of_finite_differences() -> None:
    layer = _layer(2).double()

    def with_weights(maps: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        sums: torch.Tensor = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (maps,))
        return sums

    assert torch.autograd.gradcheck(with_weights, (_maps(1, 2, 4, 4).double().requires_grad_(), *layer.parameters()))


def test_it_keeps_the_layout_and_takes_bfloat16() -> None:
    layer, maps = _layer(3), _maps(2, 3, 6, 4)
    rough = layer(maps.bfloat16().contiguous(memory_format=torch.channels_last))
    assert rough.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rough.float(), layer(maps), rtol=0.02, atol=0.02)
