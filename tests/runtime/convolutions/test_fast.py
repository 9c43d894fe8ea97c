"""Which convolutions are done another way, and only where they may be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convolve.runtime import choose
from convolve.runtime.convolutions import FastConvolutions, faster_algorithm, unrolled, winograd
from tests.runtime.convolutions.tensors import random_tensor, relative_error


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(128, 128, 3, padding=1), 16),  # too few tiles
        (nn.Conv2d(64, 64, 3, padding=1), 64),  # too narrow
        (nn.Conv2d(128, 128, 3, padding=1, stride=2), 64),
        (nn.Conv2d(128, 128, 3, padding=2, dilation=2), 64),
        (nn.Conv2d(128, 128, 3, padding=1, groups=2), 64),
        (nn.Conv2d(128, 128, 1), 64),
        (nn.Conv2d(128, 128, 5, padding=2), 64),
        (nn.Conv2d(128, 128, 3, padding="same"), 64),
    ],
)
def test_other_convolutions_are_left_alone(layer: nn.Conv2d, size: int) -> None:
    images = random_tensor(1, layer.in_channels, size, size)
    with torch.no_grad():
        expected = layer(images)
        with FastConvolutions():
            assert torch.equal(layer(images), expected)


def test_wide_ones_are_done_in_the_context_alone() -> None:
    images, layer = random_tensor(2, 64, 48, 48), nn.Conv2d(64, 128, 3, padding=1)
    assert faster_algorithm(images, layer.weight, layer.bias, (1, 1), (1, 1), (1, 1), 1) is winograd.convolution
    with torch.no_grad():
        direct = layer(images)
        with choose("cpu", "fp32", 1, fast_convolutions=True).arithmetic():
            filtered = nn.Sequential(layer, nn.ReLU(inplace=True))(images)
        assert torch.equal(layer(images), direct)
    assert not torch.equal(filtered, direct.relu())
    assert relative_error(filtered, direct.relu().double()) < 1e-4


@pytest.mark.parametrize(("precision", "macs"), [("bf16", 10**9), ("fp32", 1000)])
def test_other_arithmetic_has_none_of_it(precision: str, macs: int) -> None:
    images, layer = random_tensor(2, 64, 48, 48), nn.Conv2d(64, 128, 3, padding=1)
    runtime = choose("cpu", precision, 1, macs, fast_convolutions=True)
    with torch.no_grad(), runtime.arithmetic():
        found = layer(images)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        assert torch.equal(found, layer(images))


def test_many_weights_for_few_places_are_one_product() -> None:
    with torch.device("meta"):
        weight = torch.empty(4096, 512, 7, 7)
    assert (
        faster_algorithm(torch.empty(4, 512, 17, 17), weight, None, (1, 1), (0, 0), (1, 1), 1) is unrolled.convolution
    )
    assert faster_algorithm(torch.empty(4, 512, 70, 70), weight, None, (1, 1), (0, 0), (1, 1), 1) is None
