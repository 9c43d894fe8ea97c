"""Figures 9 and 15 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.inception import Branches, ScaledResidual
from convolve.models import Network, card, create

SIDES = {"stage1": 147, "stage2": 71, "stage3": 35, "stage4": 17, "stage5": 8}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize("name", ["inception_v4", "inception_resnet_v2", "inception_resnet_v2_slim"])
def test_map_sizes_are_the_figures(name: str) -> None:
    maps = _skeleton(name).features(torch.empty(1, 3, 299, 299, device="meta"))
    assert {stage: value.shape[2] for stage, value in maps.items()} == SIDES


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        ("inception_v4", []),
        ("inception_resnet_v2", [0.17] * 5 + [0.10] * 10 + [0.20] * 5),
        ("inception_resnet_v2_slim", [0.17] * 10 + [0.10] * 20 + [0.20] * 9 + [1.0]),
    ],
)
def test_modules_repeat_as_in_the_figures(name: str, scales: list[float]) -> None:
    residuals = [layer for layer in _skeleton(name).modules() if isinstance(layer, ScaledResidual)]
    assert [layer.scale for layer in residuals] == scales


def test_inception_v4_has_four_seven_and_three_modules() -> None:
    stages = _skeleton("inception_v4").stages
    modules = {name: sum(isinstance(layer, Branches) for layer in stages[name].children()) for name in list(stages)[2:]}
    assert modules == {"stage3": 1 + 4, "stage4": 1 + 7, "stage5": 1 + 3}


def test_residuals_end_without_normalization_or_activation() -> None:
    for layer in _skeleton("inception_resnet_v2").modules():
        if isinstance(layer, ScaledResidual):
            last = list(layer.branch.children())[-1]
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None


def test_normalization_has_slims_epsilon_and_a_fifth_is_dropped() -> None:
    layers = list(_skeleton("inception_v4").modules())
    assert {layer.eps for layer in layers if isinstance(layer, nn.BatchNorm2d)} == {1e-3}
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.2]


def test_counts_are_those_of_the_released_networks() -> None:
    assert card("inception_v4").parameters == 42_679_816
    assert card("inception_resnet_v2_slim").parameters == 55_843_464
