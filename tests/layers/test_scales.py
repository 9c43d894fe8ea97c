from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.description import Ends, Series, describe
from convolve.layers.scales import Passthrough, Scale, Scales
from convolve.layers.yolo_v2 import RegionOutput


def _map(channels: int, side: int, value: float) -> torch.Tensor:
    return torch.full((1, channels, side, side), value)


def test_the_coarser_map_is_upsampled_and_put_before_the_finer_one() -> None:
    up = nn.Upsample(scale_factor=2)
    scales = Scales([Scale(None, nn.Identity(), nn.Identity()), Scale(up, nn.Identity(), nn.Identity())])
    coarse, fine = scales([_map(2, 4, 2.0), _map(3, 2, 1.0)])
    assert coarse.shape == (1, 3, 2, 2)
    assert fine.shape == (1, 5, 4, 4)
    assert fine[0, :, 3, 3].tolist() == [1.0] * 3 + [2.0] * 2
    assert describe(scales) == Ends(("scales.0", "scales.1"))
    assert [describe(scale) for scale in scales.scales] == [Series(("body", "tip")), Series(("up", "body", "tip"))]


def test_what_goes_on_is_the_bodys_map_and_not_the_outputs() -> None:
    coarse = Scale(None, nn.ReLU(), nn.MaxPool2d(2))
    going_on, outputs = coarse(_map(3, 2, -1.0), None)
    assert going_on.tolist() == _map(3, 2, 0.0).tolist()
    assert outputs.shape == (1, 3, 1, 1)


def test_without_a_fine_map_there_is_one() -> None:
    layers = Passthrough(nn.ReLU(), None, nn.MaxPool2d(2))
    (found,) = layers([_map(3, 2, -1.0)])
    assert found.tolist() == _map(3, 1, 0.0).tolist()
    assert describe(layers) == Series(("deep", "last"))


def test_sides_that_do_not_divide_are_refused() -> None:
    head = ConvolutionalBoxHead(Passthrough(nn.Identity(), None, nn.Identity()), RegionOutput([(10, 10)]), 32)
    assert head([_map(6, 2, 0.0)], (64, 64))[0].shape == (1, 6, 2, 2)
    with pytest.raises(NetworkError, match=r"^Images of 70x64 pixels do not divide .* that are multiples of 32\.$"):
        head([_map(6, 2, 0.0)], (64, 70))
