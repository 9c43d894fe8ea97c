"""Table 1 and 2 of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convolve.models import Network, create
from convolve.models.vgg import TABLE_1

DEPTH = {"vgg11": 11, "vgg11_lrn": 11, "vgg13": 13, "vgg16_c": 16, "vgg16": 16, "vgg19": 19}
MILLIONS = {"vgg11": 133, "vgg11_lrn": 133, "vgg13": 133, "vgg16_c": 134, "vgg16": 138, "vgg19": 144}


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


@pytest.mark.parametrize("name", DEPTH)
def test_weight_layers_and_millions_of_parameters(name: str) -> None:
    network = _skeleton(name)
    weighted = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(weighted) == DEPTH[name]
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == MILLIONS[name]


def test_columns_have_table_1s_rows() -> None:
    layers = [layer for layer in _skeleton("vgg16_c").modules() if isinstance(layer, nn.Conv2d)]
    kernels = [layer.kernel_size[0] for layer in layers]
    assert kernels == [3, 3, 3, 3, 3, 3, 1, 3, 3, 1, 3, 3, 1]
    assert [layer.out_channels for layer in layers] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert list(TABLE_1) == ["A", "A-LRN", "B", "C", "D", "E"]


def test_normalization_stands_after_the_first_convolution() -> None:
    assert list(dict(_skeleton("vgg11_lrn").stages["stage1"].named_children())) == [
        "conv1_1", "relu1_1", "lrn1_2", "pool1",
    ]  # fmt: skip


def test_the_first_dense_layer_follows_the_image() -> None:
    with torch.device("meta"):
        assert create("vgg16", size=(224, 320)).head.get_submodule("fc6").in_features == 512 * 7 * 10


def test_dropout_after_both_hidden_layers() -> None:
    dropped = [layer.p for layer in _skeleton("vgg16").head.modules() if isinstance(layer, nn.Dropout)]
    assert dropped == [0.5, 0.5]


@torch.no_grad()
def test_the_signal_keeps_its_strength_through_all_layers() -> None:
    network = create("vgg19", 10, size=(32, 32)).eval()
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert 0.3 < float(network(images).square().mean().sqrt()) / math.sqrt(2) < 3
