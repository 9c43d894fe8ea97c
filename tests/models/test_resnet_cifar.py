"""Table 6 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.models import Network, card, create

MILLIONS = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("depth", MILLIONS)
def test_parameters_are_table_6s(depth: int) -> None:
    parameters = card(f"resnet{depth}_cifar").parameters
    assert parameters is not None
    assert round(parameters / 1e6, 2 if depth < 100 else 1) == MILLIONS[depth]


@pytest.mark.parametrize("name", ["resnet20_cifar", "resnet110_cifar", "plain56_cifar"])
def test_depth_is_in_the_name(name: str) -> None:
    weighted = [layer for layer in _skeleton(name).modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == int("".join(sign for sign in name if sign.isdigit()))


def test_a_plain_network_has_the_parameters_of_its_residual_counterpart() -> None:
    assert card("plain20_cifar").parameters == card("resnet20_cifar").parameters == 269_722
