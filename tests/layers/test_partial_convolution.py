"""Partial convolutions against their equations and against torch's convolution."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from convolve.layers.partial_convolution import MaskChannel, OfKnown, PartialConvolution


def _maps(*channels: int, holes: float = 0.5) -> list[Tensor]:
    """Maps of 9x8 with a part of their pixels unknown, each with a mask of its own."""
    random = torch.Generator().manual_seed(len(channels))
    found = []
    for count in channels:
        values = torch.randn(2, count, 9, 8, generator=random)
        unknown = torch.rand(2, 1, 9, 8, generator=random) < holes
        found.append(torch.where(unknown, torch.nan, values))
    return found


def _by_equation(layer: PartialConvolution, maps: list[Tensor], kernel: int, stride: int) -> Tensor:
    """Liu et al. 2018, equations 1 and 2, window after window, on concatenated maps and masks."""
    values = torch.cat(maps, 1)
    mask = (~values.isnan()).double()
    weight = torch.cat([part.weight for part in layer.convolutions()], 1).double()
    bias = layer.get_parameter("parts.0.bias").double()
    pad = kernel // 2
    values, mask = (nn.functional.pad(each, (pad,) * 4) for each in (values.nan_to_num(0).double(), mask))
    rows, columns = (math.ceil(side / stride) for side in maps[0].shape[2:])
    found = torch.full((len(values), len(weight), rows, columns), torch.nan, dtype=torch.float64)
    for image in range(len(values)):
        for row in range(rows):
            for column in range(columns):
                window = (
                    image,
                    slice(None),
                    slice(row * stride, row * stride + kernel),
                    slice(column * stride, column * stride + kernel),
                )
                known = mask[window].sum()
                if known > 0:
                    product = (weight * (values[window] * mask[window])).sum((1, 2, 3))
                    found[image, :, row, column] = product * mask[window].numel() / known + bias
    return found


@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "holes"), [((3,), 3, 1, 0.5), ((3, 4), 3, 1, 0.9), ((2,), 5, 2, 0.97)]
)
def test_equations_of_the_paper(channels: tuple[int, ...], kernel: int, stride: int, holes: float) -> None:
    torch.manual_seed(0)
    layer, maps = PartialConvolution(channels, 5, kernel, stride), _maps(*channels, holes=holes)
    with torch.no_grad():
        torch.testing.assert_close(
            layer(*maps).double(), _by_equation(layer, maps, kernel, stride), equal_nan=True, atol=1e-5, rtol=1e-5
        )


def test_without_holes_it_is_a_convolution_but_at_the_border() -> None:
    torch.manual_seed(0)
    layer = PartialConvolution((3,), 4, 3)
    (values,) = _maps(3, holes=0)
    with torch.no_grad():
        found, expected = layer(values), layer.parts[0](values)
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])
    assert not torch.allclose(found, expected)


def test_the_hole_shrinks_and_is_never_read() -> None:
    layer = PartialConvolution((1,), 1, 3)
    values = torch.ones(1, 1, 9, 9)
    values[:, :, 2:7, 2:7] = torch.nan
    found = layer(values)
    assert found.isnan().sum() == 9  # of 25
    found.nan_to_num().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in layer.parameters())


def test_layers_of_known_values_see_zeros_and_leave_holes() -> None:
    (values,) = _maps(4)
    norm = nn.BatchNorm2d(4)
    found = OfKnown(norm, nn.ReLU(inplace=True))(values)
    assert torch.equal(found.isnan(), values.isnan())
    torch.testing.assert_close(norm.running_mean, 0.1 * values.nan_to_num(0).mean((0, 2, 3)))


def test_a_mask_becomes_a_channel() -> None:
    (values,) = _maps(3)
    found = MaskChannel()(values)
    assert torch.equal(found[:, 3], (~values[:, 0].isnan()).float())
    assert torch.equal(found[:, :3], values.nan_to_num(0))
