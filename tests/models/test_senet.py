"""Table 1 and 2 of the paper, and the authors' Caffe files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.residual import Residual
from convolve.layers.squeeze_excitation import SqueezeExcitation
from convolve.models import Network, card, create

BILLIONS = {  # Table 2
    "se_resnet50": 3.87, "se_resnet101": 7.60, "se_resnet152": 11.32, "se_resnext50": 4.25, "se_inception": 2.04,
}  # fmt: skip


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("name", BILLIONS)
def test_operations_are_table_2s(name: str) -> None:
    """The table counts a little more than multiply-adds of convolutions and dense layers."""
    macs = card(name).macs
    assert macs is not None
    assert macs / 1e9 == pytest.approx(BILLIONS[name], rel=0.005)


@pytest.mark.parametrize(("name", "gates"), [("se_resnet50", 16), ("se_resnet152", 50), ("se_inception", 10)])
def test_every_block_has_a_gate(name: str, gates: int) -> None:
    assert sum(isinstance(layer, SqueezeExcitation) for layer in _skeleton(name).modules()) == gates


def test_a_gate_stands_before_the_addition() -> None:
    for layer in _skeleton("se_resnet50").modules():
        if isinstance(layer, Residual):
            assert isinstance(list(layer.branch.children())[-1], SqueezeExcitation)


@pytest.mark.parametrize(
    ("name", "strided"), [("se_resnet50", "conv1"), ("se_resnext50", "conv2"), ("senet154", "conv2")]
)
def test_maps_are_halved_where_the_authors_halve_them(name: str, strided: str) -> None:
    names = [
        path.rpartition(".")[2]
        for path, layer in _skeleton(name).named_modules()
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2) and "branch" in path
    ]
    assert names == [strided] * 3


def test_senet154_has_its_own_stem_projections_and_dropout() -> None:
    network = _skeleton("senet154")
    first = [layer.out_channels for layer in network.stages["stage1"].modules() if isinstance(layer, nn.Conv2d)]
    assert first == [64, 64, 128]
    sides = [
        layer.kernel_size[0]
        for path, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and "shortcut" in path
    ]
    assert sides == [1, 3, 3, 3]
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.2]


def test_a_gate_costs_two_layers_of_a_sixteenth() -> None:
    plain, gated = card("bn_inception_caffe").parameters, card("se_inception").parameters
    assert plain is not None
    assert gated is not None
    widths = (256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024)
    assert gated - plain == sum(2 * width * (width // 16) + width // 16 + width for width in widths)
