"""Johnson's network as its table counts it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convolve.models import create

NAMES = ("johnson", "johnson_instance")


def _parameters() -> int:
    """Johnson et al. 2016, supplementary material, table 1: weights and biases, and two numbers of normalization for
    each channel of all convolutions but the last.
    """
    plain = [(3, 32, 9), (32, 64, 3), (64, 128, 3), *[(128, 128, 3)] * 10, (128, 64, 3), (64, 32, 3)]
    return sum(before * after * side**2 + 3 * after for before, after, side in plain) + 32 * 3 * 81 + 3


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_those_of_the_table(name: str) -> None:
    network = create(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == _parameters() == network.card.parameters


def test_maps_have_the_sizes_of_the_table() -> None:
    with torch.device("meta"):
        network = create("johnson").eval()
        maps = torch.empty(1, 3, 256, 256)
        sizes = [maps.shape[2]]
        for stage in network.stages.values():
            for layer in stage.children():
                maps = layer(maps)
                sizes.append(maps.shape[2])
        assert network(torch.empty(1, 3, 256, 256)).shape == (1, 3, 256, 256)
    assert list(dict.fromkeys(sizes)) == [256, 336, 168, 84, 80, 76, 72, 68, 64]


@torch.no_grad()
def test_a_block_adds_the_center_of_what_enters() -> None:
    network = create("johnson").eval()
    block = network.stages["stage3"].get_submodule("block2")
    for parameter in block.parameters():
        parameter.zero_()
    maps = torch.rand(1, 128, 9, 11)
    assert torch.equal(block(maps), maps[:, :, 2:-2, 2:-2])


@torch.no_grad()
def test_pixels_are_from_0_to_1_for_images_of_any_size() -> None:
    network = create("johnson_instance", seed=1).eval()
    images = 100 * torch.randn(1, 3, 43, 50, generator=torch.Generator().manual_seed(0))
    found = network(images)
    assert found.shape == images.shape
    assert 0 <= float(found.min()) < 0.2 < 0.8 < float(found.max()) <= 1


@torch.no_grad()
def test_instance_normalization_is_equation_6() -> None:
    """Ulyanov et al. 2016: each map of each image by its own mean and deviation."""
    layer = create("johnson_instance").stages["stage1"].get_submodule("norm1")
    assert isinstance(layer, nn.GroupNorm)
    maps = torch.randn(2, 32, 5, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    mean, var = maps.mean((2, 3), keepdim=True), maps.var((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(layer(maps), (maps - mean) / (var + layer.eps).sqrt())
    torch.testing.assert_close(layer(maps[:1]), F.instance_norm(maps[:1]))
