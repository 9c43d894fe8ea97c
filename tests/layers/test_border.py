"""Every map and gradient of a stage that computes its border once, against those of its layers alone."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from convolve.layers.border import Band, BorderOnce, keeps_rows_equal
from convolve.layers.lrn import LocalResponseNorm

CHANNELS = 2


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def _convolution(kernel: int, stride: int, padding: int, dilation: int = 1) -> nn.Module:
    return nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation)


def _pooling(kernel: int, stride: int, padded: bool, ceil_mode: bool, maximum: bool) -> nn.Module:
    kind = nn.MaxPool2d if maximum else nn.AvgPool2d
    padding = kernel // 2 if padded else 0
    return kind(kernel, min(stride, kernel - padding) if ceil_mode else stride, padding, ceil_mode=ceil_mode)


SMALL = st.integers(1, 3)
LAYERS = st.one_of(
    st.builds(_convolution, st.integers(1, 5), SMALL, st.integers(0, 3), st.integers(1, 2)),
    st.builds(_pooling, st.integers(1, 4), SMALL, st.booleans(), st.booleans(), st.booleans()),
    st.builds(nn.ReLU),
    st.builds(LocalResponseNorm, st.just(CHANNELS)),
)


def _bordered(layers: list[nn.Module], kernel: int, stride: int, border: int) -> nn.Sequential:
    first = nn.Conv2d(1, CHANNELS, kernel, stride, border)
    return nn.Sequential(first, *layers).double()


@settings(max_examples=150)
@given(
    stages=st.lists(st.lists(LAYERS, min_size=1, max_size=4), min_size=1, max_size=3),
    kernel=st.integers(1, 5),
    stride=SMALL,
    border=st.integers(8, 60),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
)
def test_maps_are_those_of_the_layers_alone(
    stages: list[list[nn.Module]], kernel: int, stride: int, border: int, size: tuple[int, int]
) -> None:
    """Rows of layers, kernels, strides, paddings, roundings and sizes of all kinds."""
    band, wanted = Band(-border, 0), _random(1, 1, *size)
    found = wanted
    for index, layers in enumerate(stages):
        plain = nn.Sequential(*layers).double() if index else _bordered(layers, kernel, stride, border)
        assert keeps_rows_equal(plain)
        output_band = band.through(plain)
        if output_band.start < 0 or output_band.stop - output_band.start < 2:
            return
        stage = BorderOnce(copy.deepcopy(plain), band, output_band)
        with torch.no_grad():
            wanted, found = plain(wanted), stage(found)
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
        band = output_band


@pytest.mark.parametrize("size", [(1, 1), (14, 9), (35, 60)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_layers_alone(size: tuple[int, int], layout: torch.memory_format) -> None:
    """After two padded convolutions an odd side's last pooling window, half beyond the map, makes a row of its own."""
    convolutions = [_convolution(3, 1, 1), _convolution(3, 1, 1)]
    layers = [nn.ReLU(inplace=True), *convolutions, nn.MaxPool2d(2, ceil_mode=True)]
    plain = _bordered(layers, 3, 1, 30)
    band = Band(-30, 0)
    stage = BorderOnce(copy.deepcopy(plain), band, band.through(plain))
    gradients = []
    for network in (plain, stage):
        images = _random(2, 1, *size).contiguous(memory_format=layout).requires_grad_()
        maps = network(images)
        (maps * _random(*maps.shape)).sum().backward()
        gradients.append([images.grad, *(value.grad for value in network.parameters())])
    assert [name for name, _ in stage.named_parameters()] == [name for name, _ in plain.named_parameters()]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-10, atol=1e-10)


def test_maps_keep_their_memory_format() -> None:
    plain = _bordered([_convolution(3, 1, 1)], 3, 1, 30).to(memory_format=torch.channels_last)
    middle = Band(-30, 0).through(plain)
    stages = nn.Sequential(
        BorderOnce(plain, Band(-30, 0), middle),
        BorderOnce(following := nn.Sequential(nn.MaxPool2d(2)), middle, middle.through(following)),
    )
    for layout in (torch.channels_last, torch.contiguous_format):
        images = _random(2, 1, 6, 8).expand(2, 1, 6, 8)
        stages.to(memory_format=layout)
        assert stages(images.contiguous(memory_format=layout)).is_contiguous(memory_format=layout)


def test_everything_can_be_computed_all_the_same() -> None:
    plain = _bordered([_convolution(3, 1, 1)], 3, 1, 30)
    stage = BorderOnce(copy.deepcopy(plain), Band(-30, 0), Band(-30, 0).through(plain))
    convolution = next(stage.children())
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.padding == (5, 5)
    assert "25 of 30 equal rows" in repr(stage)
    stage.compute_all()
    assert convolution.padding == (30, 30)
    images = _random(1, 1, 5, 5)
    assert torch.equal(stage(images), plain(images))


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(2),
        nn.Dropout(),
        nn.Sequential(nn.ReLU()),
        nn.Conv2d(2, 2, (3, 1)),
        nn.Conv2d(2, 2, 2, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3, 3, 1, ceil_mode=True),
    ],
)
def test_layers_that_might_tell_rows_apart(layer: nn.Module) -> None:
    assert not keeps_rows_equal(nn.Sequential(nn.ReLU(), layer))
    assert keeps_rows_equal(nn.Sequential(nn.ReLU()))
    assert not keeps_rows_equal(nn.ModuleList([nn.ReLU()]))
