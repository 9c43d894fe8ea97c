"""Networks for restoration as their papers count them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.models import Network, create
from convolve.summary import receptive_fields


def _weights(network: Network) -> int:
    """Of convolutions, without biases."""
    return sum(layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("srcnn", 8_032),  # Dong et al. 2016, section 4.1
        ("vdsr", 3 * 3 * (64 + 18 * 64 * 64 + 64)),  # Kim et al. 2016, section 3.1
        ("espcn_x3", 25 * 64 + 9 * 64 * 32 + 9 * 32 * 9),  # Shi et al. 2016, section 3.2
        ("fsrcnn_x3", 12_464),  # Dong et al. 2016, table 1
        ("dncnn", 9 * (64 + 15 * 64 * 64 + 64)),  # Zhang et al. 2017, section III.A
    ],
)
def test_weights_as_published(name: str, weights: int) -> None:
    assert _weights(create(name)) == weights


@pytest.mark.parametrize("name", ["srcnn", "vdsr", "espcn_x4", "fsrcnn_x2", "edsr_x2", "edsr_x4", "dncnn", "cdncnn"])
def test_parameters_are_the_cards(name: str) -> None:
    network = create(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == network.card.parameters


@pytest.mark.parametrize("name", ["partial_conv_unet", "colorization_zhang", "unet_inpaint", "unet_color"])
def test_parameters_of_large_networks_are_the_cards(name: str) -> None:
    with torch.device("meta"):
        network = create(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == network.card.parameters


def test_the_partial_convolutions_are_the_papers() -> None:
    """Liu et al. 2018, table 1: kernel x kernel x channels in x channels out, and biases; two numbers of each norm."""
    encoder = [(7, 3, 64), (5, 64, 128), (5, 128, 256), (3, 256, 512), *[(3, 512, 512)] * 4]
    decoder = [*[(3, 1024, 512)] * 4, (3, 768, 256), (3, 384, 128), (3, 192, 64), (3, 67, 3)]
    weights = sum(kernel**2 * before * width + width for kernel, before, width in encoder + decoder)
    norms = 2 * sum(width for _, _, width in encoder[1:] + decoder[:-1])
    assert create("partial_conv_unet", size=(512, 512)).card.parameters == weights + norms


def test_a_partial_convolution_network_is_as_deep_as_images_let_it_be() -> None:
    with torch.device("meta"):
        depths = [len(create("partial_conv_unet", size=(side, side)).stages) - 1 for side in (32, 64, 512, 1024)]
    assert depths == [5, 6, 8, 8]


@pytest.mark.parametrize(("name", "size"), [("srcnn", 13), ("vdsr", 41), ("dncnn", 35)])
def test_receptive_fields_as_published(name: str, size: int) -> None:
    """Kim et al. 2016: 2 D + 1 for D layers; Zhang et al. 2017: 35 for 17."""
    network = create(name)
    fields = receptive_fields(network, (network.card.input[0], 64, 64), ("head",))["head"]
    assert {field.size for field in fields} == {size}


def test_sub_pixels_are_laid_out_row_after_row() -> None:
    """Equation 4 of ESPCN: channel r y + x of a pixel is its row y and column x."""
    network = create("espcn_x2").eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.get_parameter("head.conv3.bias").copy_(torch.arange(4.0))
        found = network(torch.zeros(1, 1, 2, 2))
    assert found[0, 0].tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]] * 2


@pytest.mark.parametrize("name", ["vdsr", "dncnn"])
def test_a_residual_begins_near_zero(name: str) -> None:
    network = create(name, seed=2).eval()
    images = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert float(network(images).abs().max()) < 0.1
