"""The layers of the LeNets, against torch's own functions and what their papers say of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.lecun import RadialBasis, ScaledTanh, Subsampling, TableConvolution


def test_one_stays_one_and_minus_one_minus_one() -> None:
    assert ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0])).tolist() == pytest.approx([-1, 0, 1], abs=1e-4)


def test_second_derivative_is_greatest_at_one() -> None:
    sums = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(ScaledTanh()(sums).sum(), sums, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), sums)[0]
    assert float(sums.detach()[second.abs().argmax()].abs()) == pytest.approx(1, abs=0.02)
    assert torch.autograd.gradcheck(ScaledTanh(), sums[::60].detach().requires_grad_())


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


def test_gradient_of_subsampling_is_that_of_finite_differences() -> None:
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


def test_gradient_of_a_table_is_that_of_finite_differences(maps: torch.Tensor) -> None:
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


def _draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_scores_are_minus_the_squared_distances() -> None:
    units, codes = _draw(5, 84), _draw(10, 84, seed=1).sign()
    torch.testing.assert_close(RadialBasis(codes)(units), -torch.cdist(units, codes).square(), rtol=1e-5, atol=1e-4)


def test_cross_entropy_is_equation_9_without_its_constant() -> None:
    units, codes, targets = 0.3 * _draw(6, 20), _draw(4, 20, seed=1), torch.tensor([0, 1, 2, 3, 0, 1])
    penalties = torch.stack([(units - code).square().sum(1) for code in codes], 1)
    wanted = penalties.gather(1, targets[:, None]).squeeze(1) + (-penalties).exp().sum(1).log()
    torch.testing.assert_close(F.cross_entropy(RadialBasis(codes)(units), targets), wanted.mean())


def test_gradient_pulls_towards_the_code() -> None:
    units, codes = _draw(5, 84).requires_grad_(), _draw(3, 84, seed=1)
    torch.autograd.backward(RadialBasis(codes)(units)[:, 2].sum())
    assert units.grad is not None
    torch.testing.assert_close(units.grad, 2 * (codes[2] - units.detach()))


def test_codes_are_saved_but_not_trained() -> None:
    layer = RadialBasis(_draw(3, 4))
    assert list(layer.parameters()) == []
    assert list(layer.state_dict()) == ["weight"]


def test_distances_are_exact_under_bfloat16() -> None:
    units, layer = _draw(5, 84).bfloat16(), RadialBasis(_draw(10, 84, seed=1).sign())
    with torch.autocast("cpu", torch.bfloat16):
        scores = layer(units)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, layer(units.float()))
