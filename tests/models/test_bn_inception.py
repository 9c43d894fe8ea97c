"""Figure 5 of the paper, and the counts of the files that are in use."""

from __future__ import annotations

import torch
from torch import nn

from convolve.models import Network, card, create


def _skeleton(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


def test_widths_are_figure_5s() -> None:
    stage = _skeleton("bn_inception").stages["stage4"]
    widths = {
        name: [layer.out_channels for layer in module.modules() if isinstance(layer, nn.Conv2d)]
        for name, module in stage.named_children()
    }
    assert widths["inception3c"] == [128, 160, 64, 96, 96]
    assert widths["inception4c"] == [160, 128, 160, 128, 160, 160, 128]


def test_the_sums_of_4c_and_4d_are_the_column_of_outputs_only_in_slim() -> None:
    assert _skeleton("bn_inception").channels["stage4"] == _skeleton("bn_inception_caffe").channels["stage4"] == 608
    assert _skeleton("bn_inception_slim").channels["stage4"] == 576


def test_the_first_convolution_is_separable_and_cheaper() -> None:
    separable, dense = card("bn_inception"), card("bn_inception_caffe")
    assert separable.parameters is not None
    assert dense.parameters is not None
    assert separable.macs is not None
    assert dense.macs is not None
    assert dense.parameters - separable.parameters == 7 * 7 * 3 * 64 - (7 * 7 * 24 + 24 * 64)
    assert dense.macs - separable.macs == 112 * 112 * (7 * 7 * 3 * 64 - (7 * 7 * 24 + 24 * 64))


def test_the_caffe_file_has_redundant_biases_besides() -> None:
    """11,295,240 parameters are commonly quoted for it: there, every convolution before a normalization has biases."""
    network = _skeleton("bn_inception_caffe")
    biases = sum(layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
    assert sum(value.numel() for value in network.parameters()) + biases == 11_295_240


@torch.no_grad()
def test_maps_of_odd_sides_pass() -> None:
    network = create("bn_inception", 3, size=(39, 75)).eval()
    maps = network.features(torch.zeros(1, 3, 39, 75))
    assert [tuple(value.shape[2:]) for value in maps.values()] == [(20, 38), (10, 19), (5, 9), (3, 5), (2, 3)]


@torch.no_grad()
def test_passing_through_pools_as_caffe_does_where_sides_are_even() -> None:
    module = create("bn_inception", 3, size=(32, 32)).stages["stage4"].get_submodule("inception3c").eval()
    maps = torch.rand(1, 320, 6, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(maps)[:, 256:], torch.max_pool2d(maps, 3, 2, ceil_mode=True))
