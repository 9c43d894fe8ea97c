"""Section 5.2 of the paper: pre-activation ResNets with a gate at the end of each branch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.squeeze_excitation import SqueezeExcitation
from convolve.models import Network, card, create
from convolve.models.preact_resnet import Sum

GATES = {"se_resnet20_cifar": 9, "se_resnet110_cifar": 54, "se_resnet164_cifar": 54}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("name", GATES)
def test_every_branch_ends_in_a_gate(name: str) -> None:
    sums = [layer for layer in _skeleton(name).modules() if isinstance(layer, Sum)]
    assert len(sums) == GATES[name]
    for layer in sums:
        *_, last, gate = layer.branch.children()
        assert isinstance(last, nn.Conv2d)
        assert isinstance(gate, SqueezeExcitation)
        assert (gate.down.in_channels, gate.down.out_channels) == (last.out_channels, max(8, last.out_channels // 16))


@pytest.mark.parametrize("depth", [110, 164])
def test_the_rest_is_the_pre_activation_network(depth: int) -> None:
    gated, plain = _skeleton(f"se_resnet{depth}_cifar"), _skeleton(f"preact_resnet{depth}_cifar")
    gates = sum(
        value.numel()
        for layer in gated.modules()
        if isinstance(layer, SqueezeExcitation)
        for value in layer.parameters()
    )
    assert gates == _count(gated) - _count(plain)


def _count(network: Network) -> int:
    return sum(value.numel() for value in network.parameters())


def test_depth_is_in_the_name() -> None:
    for depth in (20, 110, 164):
        weighted = [
            path
            for path, layer in _skeleton(f"se_resnet{depth}_cifar").named_modules()
            if isinstance(layer, nn.Linear)
            or (isinstance(layer, nn.Conv2d) and not path.endswith(("shortcut", "down", "up")))
        ]
        assert len(weighted) == depth


def test_twenty_layers_cost_nine_gates_more_than_resnet20() -> None:
    gates = sum(3 * (2 * width * 8 + 8 + width) for width in (16, 32, 64))
    assert card("se_resnet20_cifar").parameters == gates + (card("resnet20_cifar").parameters or 0)


def test_the_gate_scales_the_branch_before_the_addition() -> None:
    network = create("se_resnet20_cifar", size=(8, 8)).eval()
    unit = network.get_submodule("stages.stage1.unit1_2")
    assert isinstance(unit, Sum)
    *layers, gate = unit.branch.children()
    assert isinstance(gate, SqueezeExcitation)
    maps = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    ungated = nn.Sequential(*layers)(maps.clone())
    gates = torch.sigmoid(gate.up(torch.relu(gate.down(ungated.mean((2, 3), keepdim=True)))))
    torch.testing.assert_close(unit(maps.clone()), maps + gates * ungated)
