"""Table 1 of the paper, and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from convolve.models import card, create

TABLE_1 = {  # parameters before pruning, biases included
    "conv1": 14_208, "fire2": 11_920, "fire3": 12_432, "fire4": 45_344, "fire5": 49_440, "fire6": 104_880,
    "fire7": 111_024, "fire8": 188_992, "fire9": 197_184, "conv10": 513_000,
}  # fmt: skip


def test_parameters_are_table_1s() -> None:
    with torch.device("meta"):
        network = create("squeezenet")
    counts = dict.fromkeys(TABLE_1, 0)
    for name, value in network.named_parameters():
        counts[next(part for part in name.split(".") if part in TABLE_1)] += value.numel()
    assert counts == TABLE_1


@pytest.mark.parametrize(("name", "version"), [("squeezenet", "1_0"), ("squeezenet_1_1", "1_1")])
@torch.no_grad()
def test_scores_are_those_of_torchvision(name: str, version: str) -> None:
    """Its networks have the same layers in the same order."""
    other = getattr(torchvision.models, f"squeezenet{version}")(weights=None).eval()
    network = create(name).eval()
    pairs = list(zip(network.parameters(), other.parameters(), strict=True))
    for own, given in pairs:
        own.copy_(given)
    images = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(images), other(images), rtol=1e-4, atol=1e-5)
    assert card(name).parameters == sum(value.numel() for value in other.parameters())


@torch.no_grad()
def test_the_network_of_the_authors_file_averages_over_a_border_of_biases() -> None:
    paper, file = create("squeezenet", 7).eval(), create("squeezenet_caffe", 7).eval()
    bias = torch.tensor([0.5, -0.5, 0.0, 0.2, 1.0, -1.0, 0.1])
    paper.head.get_parameter("conv10.bias").copy_(bias)
    file.load_state_dict(paper.state_dict())
    images = torch.rand(1, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    expected = (13 * 13 * paper(images) + (15 * 15 - 13 * 13) * bias.clamp(min=0)) / (15 * 15)
    torch.testing.assert_close(file(images), expected, rtol=1e-4, atol=1e-5)


def test_the_scores_are_rectified_before_their_mean() -> None:
    names = [type(layer) for _, layer in create("squeezenet", 3, size=(64, 64)).head.named_children()]
    assert names == [nn.Dropout, nn.Conv2d, nn.ReLU, nn.AdaptiveAvgPool2d, nn.Flatten]
