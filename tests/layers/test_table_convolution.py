from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.table_convolution import TableConvolution

TABLE = ((0,), (1, 3), (2, 0, 1), (3, 2, 1, 0))


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(2, 4, 7, 6, generator=torch.Generator().manual_seed(0))


def test_each_output_is_a_convolution_of_the_maps_it_is_connected_to(maps: torch.Tensor) -> None:
    layer = TableConvolution(4, TABLE, 3)
    kernels = iter(layer.weight)
    for output, inputs in enumerate(TABLE):
        weight = torch.stack([next(kernels) for _ in inputs])[None]
        single = F.conv2d(maps[:, list(inputs)], weight, layer.bias[output : output + 1])
        torch.testing.assert_close(layer(maps)[:, output : output + 1], single)


def test_a_full_table_is_a_dense_convolution(maps: torch.Tensor) -> None:
    layer = TableConvolution(4, ((0, 1, 2, 3),) * 5, 3)
    torch.testing.assert_close(layer(maps), F.conv2d(maps, layer.weight.view(5, 4, 3, 3), layer.bias))


def test_gradient_is_that_of_finite_differences(maps: torch.Tensor) -> None:
    layer = TableConvolution(4, TABLE, 3).double()

    def with_weights(images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (images,))
        return scores

    given = maps[:1, :, :4, :4].double().requires_grad_()
    assert torch.autograd.gradcheck(with_weights, (given, layer.weight, layer.bias))


def test_it_has_one_kernel_per_connection_and_one_bias_per_output() -> None:
    layer = TableConvolution(4, TABLE, 3)
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {
        "weight": (10, 3, 3),
        "bias": (4,),
    }


def test_weights_start_within_the_inverse_root_of_their_own_outputs_fan_in() -> None:
    layer = TableConvolution(9, ((0,), tuple(range(9))) * 20, 5)
    spread = [float(values.detach().abs().max()) for values in (layer.weight[:1], layer.weight[1:10])]
    assert spread == pytest.approx([1 / 5, 1 / math.sqrt(225)], rel=0.25)
    assert float(layer.bias.detach().abs().max()) <= 1 / 5


def test_it_keeps_the_layout_and_runs_in_bfloat16(maps: torch.Tensor) -> None:
    layer = TableConvolution(4, TABLE, 3)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(maps.contiguous(memory_format=torch.channels_last))
    assert rough.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rough.float(), layer(maps), rtol=0.05, atol=0.05)
