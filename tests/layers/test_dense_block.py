from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from convolve.layers.dense_block import DenseBlock, Growth, bottleneck, composite


def _maps(side: int = 6) -> torch.Tensor:
    return torch.randn(4, 5, side, side, generator=torch.Generator().manual_seed(0))


def _trained(block: DenseBlock, maps: torch.Tensor) -> list[torch.Tensor]:
    """Result, gradients and buffers after one step's passes."""
    maps = maps.clone().requires_grad_()
    result = block(maps)
    gradients = torch.autograd.grad(result.square().sum(), [maps, *block.parameters()])
    return [result.detach(), *gradients, *block.buffers()]


def _kept(block: DenseBlock, maps: torch.Tensor) -> int:
    """Bytes that the forward pass keeps for the backward pass, each storage once."""
    storages: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        result = block(maps.requires_grad_())
    assert result.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize("layer", [composite, bottleneck])
def test_every_layer_reads_all_maps_before_it(layer: Growth) -> None:
    block = DenseBlock(3, 5, 4, layer).eval()
    maps = _maps()
    for made in block.layers:
        maps = torch.cat((maps, made(maps)), 1)
    assert block.channels == maps.shape[1] == 5 + 3 * 4
    torch.testing.assert_close(block(_maps()), maps)


def test_a_layer_is_normalization_relu_convolution() -> None:
    layer = composite(5, 4).eval()
    convolution = layer.get_submodule("conv1")
    assert isinstance(convolution, nn.Conv2d)
    wanted = torch.conv2d(torch.relu(_maps() / (1 + 1e-5) ** 0.5), convolution.weight, padding=1)
    torch.testing.assert_close(layer(_maps()), wanted)


@pytest.mark.parametrize("layer", [composite, bottleneck])
def test_recomputing_changes_no_result_gradient_or_running_statistic(layer: Growth) -> None:
    block = DenseBlock(4, 5, 4, layer)
    frugal = copy.deepcopy(block)
    frugal.recompute = True
    for found, wanted in zip(_trained(frugal, _maps()), _trained(block, _maps()), strict=True):
        torch.testing.assert_close(found, wanted)
    assert {norm.momentum for norm in frugal.modules() if isinstance(norm, nn.BatchNorm2d)} == {0.1}


def test_recomputing_keeps_memory_linear_in_the_number_of_layers() -> None:
    block, frugal = DenseBlock(16, 5, 12, composite), DenseBlock(16, 5, 12, composite)
    frugal.recompute = True
    assert _kept(frugal, _maps(16)) < 0.3 * _kept(block, _maps(16))
