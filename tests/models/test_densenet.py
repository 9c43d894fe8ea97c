"""Table 1 and 2 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.dense_block import DenseBlock
from convolve.models import Network, card, create, save_memory

MILLIONS = {"densenet40_cifar": 1.0, "densenet100_cifar": 7.0, "densenet100_bc_cifar": 0.8}  # Table 2
DEPTH = {"densenet121": 121, "densenet169": 169, "densenet201": 201, "densenet161": 161, "densenet40_cifar": 40,
         "densenet100_cifar": 100, "densenet100_bc_cifar": 100}  # fmt: skip


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("name", DEPTH)
def test_depth_is_in_the_name(name: str) -> None:
    weighted = [layer for layer in _skeleton(name).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == DEPTH[name]


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_table_2s(name: str) -> None:
    parameters = card(name).parameters
    assert parameters is not None
    assert round(parameters / 1e6, 1) == MILLIONS[name]


def test_plain_networks_start_with_16_maps_and_compact_ones_with_twice_the_growth() -> None:
    first = {name: next(layer for layer in _skeleton(name).modules() if isinstance(layer, nn.Conv2d)) for name in DEPTH}
    assert {name: layer.out_channels for name, layer in first.items()} == {
        "densenet121": 64, "densenet169": 64, "densenet201": 64, "densenet161": 96, "densenet40_cifar": 16,
        "densenet100_cifar": 16, "densenet100_bc_cifar": 24,
    }  # fmt: skip


def test_every_map_ends_normalized_and_rectified() -> None:
    assert list(dict(_skeleton("densenet121").stages["stage5"].named_children()))[-2:] == ["norm", "relu"]


def test_saving_memory_asks_every_block_to_recompute_and_keeps_the_scores() -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network = create("densenet40_cifar").train()
    scores = network(images)
    save_memory(network)
    assert [block.recompute for block in network.modules() if isinstance(block, DenseBlock)] == [True] * 3
    torch.testing.assert_close(network(images), scores)
