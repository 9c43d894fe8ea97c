"""Table 1, 3 and 4 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.models import card, create


@pytest.mark.parametrize(("name", "millions", "billions"), [("resnext50", 25.0, 4.2), ("resnext101", 44.2, 8.0)])
def test_counts_are_table_1s(name: str, millions: float, billions: float) -> None:
    found = card(name)
    assert found.parameters is not None
    assert found.macs is not None
    assert found.parameters / 1e6 == pytest.approx(millions, abs=0.05)
    assert found.macs / 1e9 == pytest.approx(billions, abs=0.05)


@pytest.mark.parametrize(("name", "groups"), [("resnext50", 32), ("resnext101_64x4d", 64)])
def test_paths_start_with_four_channels_each_and_double_with_every_stage(name: str, groups: int) -> None:
    with torch.device("meta"):
        network = create(name)
    grouped = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert {layer.groups for layer in grouped} == {groups}
    assert sorted({layer.in_channels // groups for layer in grouped}) == [4, 8, 16, 32]
    assert sum(layer.stride == (2, 2) for layer in grouped) == 3
