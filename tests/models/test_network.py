from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.dense_block import DenseBlock
from convolve.models import Network, create, freeze, save_memory
from convolve.training.learner import Learner
from convolve.training.recipe import Optimization, Recipe

RECIPE = Recipe(optimization=Optimization(optimizer="sgd", learning_rate=0.1))


@pytest.fixture
def network() -> Network:
    return create("resnet18", 3, size=(32, 32))


def test_a_stage_and_all_before_it_stay_as_they_are(network: Network) -> None:
    freeze(network, "stage3")
    Learner(network, RECIPE).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(torch.randn(4, 3, 32, 32)).square().sum().backward()
    torch.optim.SGD([value for value in network.parameters() if value.requires_grad], lr=0.1).step()
    changed = {
        name.split(".")[1] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"stage4", "stage5", "fc"}
    assert all(value.grad is None for value in network.stages["stage2"].parameters())


def test_frozen_normalization_stays_in_evaluation_mode(network: Network) -> None:
    freeze(network, "stage2")
    Learner(network, RECIPE).train()
    training = {
        name.split(".")[1]: layer.training
        for name, layer in network.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
    }
    assert training == {"stage1": False, "stage2": False, "stage3": True, "stage4": True, "stage5": True}
    assert network.training
    assert network.head.training


def test_an_unknown_stage_is_refused_with_the_known_ones(network: Network) -> None:
    with pytest.raises(
        NetworkError, match=r"resnet18 has no stage 'layer2' .* stage1, stage2, stage3, stage4, stage5\.$"
    ):
        freeze(network, "layer2")


def test_every_dense_block_recomputes_to_save_memory() -> None:
    network = create("densenet121")
    save_memory(network)
    assert [block.recompute for block in network.modules() if isinstance(block, DenseBlock)] == [True] * 4


def test_where_no_part_can_recompute_a_sentence_says_so(network: Network) -> None:
    with pytest.raises(NetworkError, match=r"^No part of resnet18 can recompute .* or choose a smaller --batch\.$"):
        save_memory(network)
