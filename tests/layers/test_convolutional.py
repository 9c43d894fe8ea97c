from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.convolutional import as_convolution, dilate, keep_size
from convolve.layers.subsampling import Subsampling


@torch.no_grad()
def test_a_dense_layer_slides_with_the_same_weights() -> None:
    dense = nn.Linear(5 * 4 * 4, 7)
    convolution = as_convolution(dense, 5)
    maps = torch.rand(2, 5, 6, 5, generator=torch.Generator().manual_seed(0))
    found = convolution(maps)
    assert found.shape == (2, 7, 3, 2)
    torch.testing.assert_close(found[:, :, 2, 1], dense(maps[:, :, 2:6, 1:5].flatten(1)))


@given(
    side=st.integers(1, 40),
    kernel=st.sampled_from([1, 3, 5, 7, 11]),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 2),
)
def test_convolutions_leave_sides_by_stride_rounded_up(side: int, kernel: int, stride: int, dilation: int) -> None:
    with torch.device("meta"):
        layer = nn.Conv2d(1, 1, kernel, stride, dilation=dilation)
        keep_size(layer)
        assert layer(torch.empty(1, 1, side, side)).shape[2] == -(-side // stride)


@given(side=st.integers(1, 40), kernel=st.sampled_from([2, 3]), padding=st.integers(0, 1))
def test_poolings_too(side: int, kernel: int, padding: int) -> None:
    for pooling in (nn.MaxPool2d(kernel, 2, padding), nn.AvgPool2d(kernel, 2, padding)):
        keep_size(pooling)
        assert pooling(torch.zeros(1, 1, side, side)).shape[2] == -(-side // 2)


@pytest.mark.parametrize("layer", [Subsampling(1), nn.Conv2d(1, 1, 2, 2)])
def test_what_cannot_pad_is_refused(layer: nn.Module) -> None:
    with pytest.raises(NetworkError, match="cannot be padded to keep its map's size; choose another network"):
        keep_size(layer)


@torch.no_grad()
def test_dilated_layers_compute_the_units_that_were_and_those_between() -> None:
    layers = nn.Sequential(nn.Conv2d(2, 3, 3, 2, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 5, padding=2))
    maps = torch.rand(1, 2, 12, 16, generator=torch.Generator().manual_seed(0))
    wanted = layers(maps)
    assert dilate(layers, 1) == 2
    found = layers(maps)
    assert found.shape[2:] == (12, 16)
    torch.testing.assert_close(found[:, :, ::2, ::2], wanted)


def test_poolings_that_stride_cannot_be_dilated() -> None:
    with pytest.raises(NetworkError, match="here a pooling strides"):
        dilate([nn.MaxPool2d(2)], 1)
