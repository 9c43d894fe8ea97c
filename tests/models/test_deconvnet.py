"""Figure 2 and Table 4 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers.pooling import Unpooling
from convolve.models import Network, create, deconvnet
from tests.models.blobs import ten_steps


def _skeleton() -> Network:
    with torch.device("meta"):
        return create("deconvnet").eval()


def test_parameters_are_twice_those_of_the_encoder() -> None:
    network = _skeleton()
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == 252  # SegNet's comparison
    assert round(sum(value.numel() for value in network.stages.parameters()) / 1e6) == 134


def test_maps_grow_from_1_to_224() -> None:
    network = _skeleton()
    sides: list[tuple[int, int]] = []
    for layer in network.head.modules():
        if isinstance(layer, nn.ConvTranspose2d | Unpooling):
            layer.register_forward_hook(lambda _, given, found: sides.append((found.shape[1], found.shape[2])))
    network(torch.empty(1, 3, 224, 224, device="meta"))
    assert list(dict.fromkeys(side for _, side in sides)) == [7, 14, 28, 56, 112, 224]
    assert [channels for channels, _ in sides] == [
        512, *(512,) * 4, 512, 512, 512, 256, 256, 256, 256, 128, 128, 128, 64, 64, 64, 64,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(193, 193), (225, 300)])
def test_any_size_from_the_smallest_on(size: tuple[int, int]) -> None:
    assert _skeleton()(torch.empty(1, 3, *size, device="meta")).shape == (1, 21, *size)


def test_ten_steps_lower_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENCODER", "DECODER"):
        table: tuple[tuple[int, ...], ...] = getattr(deconvnet, name)
        monkeypatch.setattr(deconvnet, name, tuple(tuple(width // 16 for width in row) for row in table))
    monkeypatch.setattr(deconvnet, "DENSE", 64)
    before, after = ten_steps(create("deconvnet"), 193, 0.05)
    assert after < 0.8 * before
