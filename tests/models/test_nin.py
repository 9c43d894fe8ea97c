"""Section 4 of the paper and the authors' files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.models import Network, create

WIDTHS = {
    "nin": [96, 96, 96, 256, 256, 256, 384, 384, 384, 1024, 1024, 1000],
    "nin_cifar": [192, 160, 96, 192, 192, 192, 192, 192, 10],
}
KERNELS = {"nin": [11, 1, 1, 5, 1, 1, 3, 1, 1, 3, 1, 1], "nin_cifar": [5, 1, 1, 5, 1, 1, 3, 1, 1]}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("name", WIDTHS)
def test_three_convolutions_make_an_mlpconv_layer(name: str) -> None:
    convolutions = [layer for layer in _skeleton(name).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == WIDTHS[name]
    assert [layer.kernel_size[0] for layer in convolutions] == KERNELS[name]


@pytest.mark.parametrize("name", WIDTHS)
def test_every_convolution_has_its_rectifier_also_the_last(name: str) -> None:
    network = _skeleton(name)
    layers = [layer for part in (*network.stages.values(), network.head) for layer in part.children()]
    followers = [layers[index + 1] for index, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    assert all(isinstance(follower, nn.ReLU) for follower in followers)
    assert [type(layer).__name__ for layer in layers[-2:]] == ["AdaptiveAvgPool2d", "Flatten"]


@pytest.mark.parametrize(("name", "count"), [("nin", 1), ("nin_cifar", 2)])
def test_dropout_follows_poolings(name: str, count: int) -> None:
    layers = list(_skeleton(name).modules())
    before = [layers[index - 1] for index, layer in enumerate(layers) if isinstance(layer, nn.Dropout)]
    assert len(before) == count
    assert all(isinstance(layer, nn.MaxPool2d) and layer.ceil_mode for layer in before)


@pytest.mark.parametrize(
    ("name", "deviations"),
    [
        ("nin", [0.01, 0.05, 0.05, 0.05, 0.05, 0.05, 0.01, 0.05, 0.05, 0.05, 0.05, 0.01]),
        ("nin_cifar", [0.05] * 9),
    ],
)
def test_weights_start_as_in_the_authors_files(name: str, deviations: list[float]) -> None:
    layers = [layer for layer in create(name).modules() if isinstance(layer, nn.Conv2d)]
    assert [float(layer.weight.detach().std()) for layer in layers] == pytest.approx(deviations, rel=0.05)
    assert not any(layer.bias.any() for layer in layers if layer.bias is not None)


@torch.no_grad()
def test_scores_are_the_means_of_one_map_per_class() -> None:
    network = create("nin_cifar").eval()
    maps = network.features(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))["stage3"]
    classes = network.head.get_submodule("relu")(network.head.get_submodule("conv")(maps))
    assert classes.shape == (2, 10, 8, 8)
    torch.testing.assert_close(network.head(maps), classes.mean((2, 3)))
