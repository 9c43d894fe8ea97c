"""Figure 3 of the paper, and the authors' definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.darknet import LocallyConnected2d
from convolve.models import Network, create
from convolve.summary import receptive_fields


def _skeleton(name: str, size: tuple[int, int] | None = None) -> Network:
    with torch.device("meta"):
        return create(name, size=size).eval()


@pytest.mark.parametrize(
    ("name", "convolutions", "dense", "outputs"),
    [("yolo_v1", 24, 2, 1470), ("yolo_v1_local", 24, 1, 1715), ("yolo_v1_tiny", 8, 1, 1470)],
)
def test_depth_and_outputs_are_the_published_ones(name: str, convolutions: int, dense: int, outputs: int) -> None:
    network = _skeleton(name)
    layers = list(network.modules())
    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == convolutions
    assert sum(isinstance(layer, nn.Linear) for layer in layers) == dense
    assert sum(isinstance(layer, LocallyConnected2d) for layer in layers) == (name == "yolo_v1_local")
    assert network(torch.empty(2, 3, 448, 448, device="meta"))[0].shape == (2, outputs)


def test_only_todays_networks_normalize() -> None:
    normalizing = {
        name: any(isinstance(layer, nn.BatchNorm2d) for layer in _skeleton(name).modules())
        for name in ("yolo_v1", "yolo_v1_local", "yolo_v1_tiny")
    }
    assert normalizing == {"yolo_v1": False, "yolo_v1_local": True, "yolo_v1_tiny": True}


def test_the_last_map_sees_more_than_the_image() -> None:
    field = receptive_fields(_skeleton("yolo_v1"), (3, 448, 448), ["stages.stage6"])["stages.stage6"][0]
    assert (field.size, field.stride) == (749, 64)


def test_the_grid_follows_from_the_size_and_is_fixed() -> None:
    network = _skeleton("yolo_v1_tiny", (128, 192))
    assert network(torch.empty(1, 3, 128, 192, device="meta"))[0].shape == (1, 2 * 3 * 30)
    with pytest.raises(NetworkError, match=r"^The dense layers were built for images of 192x128 pixels; give such"):
        network(torch.empty(1, 3, 192, 128, device="meta"))
    with pytest.raises(NetworkError, match=r"^Images of 200x128 pixels do not divide .* that are multiples of 64\.$"):
        network(torch.empty(1, 3, 128, 200, device="meta"))


def test_dense_weights_start_uniform_and_convolutions_normal() -> None:
    network = create("yolo_v1_tiny", size=(64, 64))
    dense = network.get_parameter("head.layers.layers.fc9.weight").detach()
    bound = (2 / dense.shape[1]) ** 0.5
    assert 0.99 * bound < float(dense.abs().max()) <= bound
    deep = network.get_parameter("stages.stage6.conv7.conv.weight").detach()
    assert float(deep.std()) == pytest.approx((2 / (9 * deep.shape[1])) ** 0.5, rel=0.01)
    assert float(deep.abs().max()) > 3 * float(deep.std())
