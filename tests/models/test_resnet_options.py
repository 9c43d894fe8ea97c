"""Section 4.1: what plain networks and the options of shortcuts have in common with ResNet, and what not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.residual import Residual, ZeroPadShortcut
from convolve.models import Network, card, create


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


def _shortcuts(name: str) -> list[type[nn.Module]]:
    return [type(layer.shortcut) for layer in _skeleton(name).modules() if isinstance(layer, Residual)]


@pytest.mark.parametrize("depth", [18, 34])
def test_option_a_has_the_parameters_and_operations_of_the_plain_network(depth: int) -> None:
    plain, padded = card(f"plain{depth}"), card(f"resnet{depth}_a")
    assert (plain.parameters, plain.macs) == (padded.parameters, padded.macs)
    assert plain.macs is not None
    assert plain.macs / 1e9 == pytest.approx({18: 1.8, 34: 3.6}[depth], abs=0.05)


def test_options_differ_in_their_shortcuts_alone() -> None:
    assert _shortcuts("plain34") == []
    assert [kind for kind in _shortcuts("resnet34_a") if kind is not nn.Identity] == [ZeroPadShortcut] * 3
    assert _shortcuts("resnet34_c") == [nn.Sequential] * 16
    for name in ("plain34", "resnet34_a", "resnet34_c"):
        weighted = [path for path, layer in _skeleton(name).named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
        assert len([path for path in weighted if "shortcut" not in path]) == 34


def test_option_c_adds_projections_to_option_b() -> None:
    same = (64, 64, 64, 128, 128, 128, *(256,) * 5, 512, 512)
    more = sum(width * width + 2 * width for width in same)
    parameters, option_b = card("resnet34_c").parameters, card("resnet34").parameters
    assert parameters is not None
    assert option_b is not None
    assert parameters - option_b == more
