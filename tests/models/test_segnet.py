"""Table 1 and figure 2 of the paper, and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.layers import pooling
from convolve.layers.lrn import LocalResponseNorm
from convolve.layers.pooling import Unpooling
from convolve.models import Network, create, segnet
from tests.models.blobs import ten_steps


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


def _millions(module: nn.Module) -> float:
    return sum(value.numel() for value in module.parameters()) / 1e6


def test_published_parameters() -> None:
    network = _skeleton("segnet")
    assert round(_millions(network), 2) == 29.45  # the comparison of section 4
    assert round(_millions(network.stages), 1) == 14.7  # section 3, "from 134M to 14.7M"
    assert _millions(_skeleton("segnet_basic")) == pytest.approx(1.425, rel=0.01)  # Table 1, the best of its kind


def test_the_decoder_mirrors_the_encoder() -> None:
    network = _skeleton("segnet")
    encoder = [layer.out_channels for layer in network.stages.modules() if isinstance(layer, nn.Conv2d)]
    decoder = [layer.in_channels for layer in network.head.modules() if isinstance(layer, nn.Conv2d)]
    assert decoder == encoder[::-1]
    assert len(encoder) == 13


def test_basic_normalizes_the_image_and_its_decoder_has_no_relu() -> None:
    network = _skeleton("segnet_basic")
    assert isinstance(next(iter(network.stages["stage1"].children())), LocalResponseNorm)
    assert not any(isinstance(layer, nn.ReLU) for layer in network.head.modules())
    kernels = [layer.kernel_size for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(7, 7)] * 8 + [(1, 1)]


@pytest.mark.parametrize("name", ["segnet", "segnet_basic"])
def test_odd_maps_grow_to_what_they_were(name: str) -> None:
    network = _skeleton(name)
    sides: list[int] = []
    for layer in network.head.modules():
        if isinstance(layer, Unpooling):
            layer.register_forward_hook(lambda _, given, found: sides.append(found.shape[2]))
    assert network(torch.empty(1, 3, 360, 480, device="meta")).shape == (1, 11, 360, 480)
    assert sides == [23, 45, 90, 180, 360][-len(sides) :]
    assert network(torch.empty(1, 3, 1, 37, device="meta")).shape == (1, 11, 1, 37)


@pytest.mark.parametrize("name", ["segnet", "segnet_basic"])
@torch.no_grad()
def test_in_bfloat16_only_the_places_differ(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = create(name, size=(64, 64)).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    exact = network(images)
    positions = [pooling._max_positions(maps) for maps in reversed(network.features(images).values())]
    with torch.autocast("cpu", torch.bfloat16):
        rough = [pooling._max_positions(maps) for maps in reversed(network.features(images).values())]
        order = iter(positions)
        monkeypatch.setattr(pooling, "_max_positions", lambda _: next(order))
        found = network(images).float()
    assert float((found - exact).norm() / exact.norm()) < 0.02
    moved = torch.cat([(one != other).flatten() for one, other in zip(positions, rough, strict=True)])
    assert 0 < moved.double().mean() < 0.01


@pytest.mark.parametrize("name", ["segnet", "segnet_basic"])
def test_ten_steps_lower_the_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segnet, "VGG16", tuple(tuple(width // 8 for width in row) for row in segnet.VGG16))
    before, after = ten_steps(create(name), 32, 0.05)
    assert after < 0.7 * before
