"""AlexNet with global average pooling, by the CAM authors' definition."""

from __future__ import annotations

import torch
from torch import nn

from convolve.models import card, create
from convolve.summary import shapes_only, summarize


def test_layers_are_those_of_the_authors_definition() -> None:
    with shapes_only():
        network = create("alexnet_gap")
    rows = summarize(network, card("alexnet_gap").input).layers
    found = [(row.output[0], row.kernel, row.groups) for row in rows if row.type == "Conv2d"]
    assert found == [
        (96, (11, 11), 1),
        (256, (5, 5), 2),
        (384, (3, 3), 1),
        (384, (3, 3), 2),
        (384, (3, 3), 2),
        (512, (3, 3), 2),
        (512, (3, 3), 2),
    ]
    assert [row.output for row in rows if row.type == "MaxPool2d"] == [(96, 27, 27), (256, 13, 13), (384, 11, 11)]
    assert rows[-1].name == "head.fc9"
    assert rows[-1].input == (512,)


def test_pooling_comes_before_normalization_as_in_caffenet() -> None:
    with shapes_only():
        names = [name for name, _ in create("alexnet_gap").stages["stage1"].named_children()]
    assert names == ["conv1", "relu1", "pool1", "caffe_norm1"]


def test_scores_are_the_mean_of_class_activation_maps() -> None:
    network = create("alexnet_gap", 3, size=(64, 96)).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        maps = network.features(images)["stage7"]
        layer = network.head.get_submodule("fc9")
        assert isinstance(layer, nn.Linear)
        heat = torch.einsum("kc,nchw->nkhw", layer.weight, maps)
        torch.testing.assert_close(heat.mean((2, 3)) + layer.bias, network(images), rtol=1e-4, atol=1e-6)
