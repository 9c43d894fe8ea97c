"""Figure 1 of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.models import Network, create, unet
from convolve.models.unet import Expanding, ReflectionPadding
from tests.models.blobs import ten_steps


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name).eval()


@pytest.mark.parametrize("name", ["unet", "unet_same"])
def test_parameters_and_depth(name: str) -> None:
    network = _skeleton(name)
    assert sum(value.numel() for value in network.parameters()) == 31_030_658
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == 23  # section 2
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_a_tile_of_572_gives_388_and_skips_lose_4_16_40_and_88() -> None:
    network = _skeleton("unet")
    maps = list(network.features(torch.empty(1, 1, 388, 388, device="meta")).values())
    assert maps[0].shape[2] + 4 == 572
    head = network.head
    assert isinstance(head, Expanding)
    lost, found = [], maps[-1]
    for up, layers, skip in zip(head.up.values(), head.convolutions.values(), reversed(maps[:-1]), strict=True):
        large = up(found)
        lost.append((skip.shape[2] - large.shape[2]) // 2)
        found = layers(torch.cat([skip[:, :, : large.shape[2], : large.shape[3]], large], 1))
    assert lost == [4, 16, 40, 88]
    assert found.shape[2:] == (388, 388)


@torch.no_grad()
def test_overlapping_tiles_give_the_scores_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figure 2; poolings of the tile begin where those of the whole do, a multiple of 16 from its reflected border."""
    monkeypatch.setattr(unet, "WIDTHS", (4, 8, 16, 32, 64))
    network = create("unet").eval()
    images = torch.rand(1, 1, 300, 200, generator=torch.Generator().manual_seed(0))
    unpadded = list(network.stages["stage1"].children())[1:]
    tile = network.head(_maps(network, unpadded, images[:, :, 4:192, 4:192]), (4, 4))
    torch.testing.assert_close(tile, network(images)[:, :, 96:100, 96:100], rtol=1e-4, atol=1e-5)


def _maps(network: Network, first: list[nn.Module], tile: Tensor) -> list[Tensor]:
    maps = [nn.Sequential(*first)(tile)]
    for stage in list(network.stages.values())[1:]:
        maps.append(stage(maps[-1]))
    return maps


@pytest.mark.parametrize("size", [(1, 1), (17, 250), (388, 33)])
@pytest.mark.parametrize("name", ["unet", "unet_same"])
def test_any_size_in_the_same_size_out(name: str, size: tuple[int, int]) -> None:
    assert _skeleton(name)(torch.empty(2, 1, *size, device="meta")).shape == (2, 2, *size)


def test_weights_are_drawn_as_section_3_says() -> None:
    network = create("unet_same")
    assert float(_weight(network, "stages.stage1.conv2").std()) == pytest.approx(math.sqrt(2 / 576), rel=0.02)
    assert float(_weight(network, "head.up.up1").std()) == pytest.approx(math.sqrt(2 / 128), rel=0.02)


def _weight(network: Network, name: str) -> Tensor:
    return network.get_parameter(f"{name}.weight").detach()


@pytest.mark.parametrize("name", ["unet", "unet_same"])
def test_ten_steps_lower_the_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "WIDTHS", (8, 16, 32, 64, 128))
    before, after = ten_steps(create(name), 32, 0.02)
    assert after < 0.7 * before


def test_the_border_is_torchs_reflection() -> None:
    images = torch.rand(2, 3, 24, 31, generator=torch.Generator().manual_seed(0))
    found = ReflectionPadding(5, 4, 6)(images)  # 24 + 10 is 6 + 7 * 4; 31 + 10 becomes 6 + 9 * 4
    assert torch.equal(found, F.pad(images, (5, 6, 5, 5), mode="reflect"))


@pytest.mark.parametrize(("side", "length"), [(388, 572), (389, 588), (1, 188), (4, 188), (5, 204)])
def test_sides_are_those_of_u_nets_tiles(side: int, length: int) -> None:
    assert ReflectionPadding(92, 16, 124).length(side) == length


def test_small_images_are_reflected_back_and_forth() -> None:
    images = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 1, 3)
    found = ReflectionPadding(4, 1, 0)(images)
    assert found[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    assert found.shape == (1, 1, 9, 11)
