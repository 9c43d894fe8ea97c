"""Figure 3 of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.models import create
from convolve.summary import summarize


def test_maps_are_those_of_the_figure() -> None:
    with torch.device("meta"):
        network = create("zfnet")
    rows = summarize(network, (3, 224, 224)).layers
    sides = {row.name.rpartition(".")[2]: row.output[1:] for row in rows if row.type in ("Conv2d", "MaxPool2d")}
    assert sides == {
        "conv1": (110, 110), "pool1": (55, 55), "conv2": (26, 26), "pool2": (13, 13), "conv3": (13, 13),
        "conv4": (13, 13), "conv5": (13, 13), "pool5": (6, 6),
    }  # fmt: skip
    kernels = [(row.kernel, row.stride, row.output[0]) for row in rows if row.type == "Conv2d"]
    assert kernels == [
        ((7, 7), (2, 2), 96), ((5, 5), (2, 2), 256), ((3, 3), (1, 1), 384), ((3, 3), (1, 1), 384),
        ((3, 3), (1, 1), 256),
    ]  # fmt: skip


def test_normalization_follows_the_pooling_and_nothing_is_grouped() -> None:
    with torch.device("meta"):
        network = create("zfnet")
    for number in (1, 2):
        layers = list(dict(network.stages[f"stage{number}"].named_children()))
        assert layers == [f"conv{number}", f"relu{number}", f"pool{number}", f"norm{number}"]
    assert all(layer.groups == 1 for layer in network.modules() if isinstance(layer, nn.Conv2d))


def test_weights_start_at_a_hundredth_and_biases_at_zero() -> None:
    for layer in create("zfnet", 10, size=(47, 47)).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.03)
            assert layer.bias is not None
            assert not layer.bias.any()


@pytest.mark.parametrize("side", [47, 78, 79, 200, 227])
def test_the_first_dense_layer_follows_the_image(side: int) -> None:
    with torch.device("meta"):
        assert create("zfnet", size=(side, 224))(torch.empty(1, 3, side, 224)).shape == (1, 1000)
