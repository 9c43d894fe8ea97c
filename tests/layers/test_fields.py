"""Receptive fields of enlarged, cropped, padded and pooled maps are where the gradient is."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.darknet import Reorg
from convolve.layers.geometry import ReceptiveField
from convolve.layers.graph_layers import Concatenate, Elementwise
from convolve.layers.pooling import Unpooling
from convolve.summary import receptive_fields, summarize

SIDE = 44
Function = Callable[[Tensor], Tensor]


class _Network(nn.Module):
    """A strided convolution, what is tested, and a convolution, with positive weights, on a column of pixels."""

    def __init__(self, tested: Function | nn.Module) -> None:
        super().__init__()
        self.before = nn.Conv2d(1, 1, (3, 1), (2, 1), (1, 0), bias=False)
        self.tested = tested
        self.after = nn.Conv2d(1, 1, (3, 1), padding=(1, 0), bias=False)
        for value in self.parameters():
            nn.init.ones_(value)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.after(self.tested(self.before(images)))
        return maps


def _reached(network: nn.Module) -> Tensor:
    """(units, pixels): whether a unit's gradient with respect to a pixel is not 0."""
    images = torch.linspace(1, 2, SIDE)[None, None, :, None].requires_grad_()
    units = network(images)[0, 0, :, 0]
    gradients = [torch.autograd.grad(unit, images, retain_graph=True)[0].flatten() for unit in units]
    return torch.stack(gradients) != 0


def _gaps(tested: Function | nn.Module) -> tuple[ReceptiveField, list[tuple[float, float]]]:
    """The field of the units, and how far each unit's first and last pixel are inside of it; of units that see no
    border.
    """
    network = _Network(tested)
    field = receptive_fields(network, (1, SIDE, 1), ["after"])["after"][0]
    gaps = []
    for unit, pixels in enumerate(_reached(network)):
        start = field.offset + unit * field.stride
        seen = pixels.nonzero().flatten()
        if start >= 0 and start + field.size <= SIDE and len(seen):
            gaps.append((float(int(seen[0]) - start), float(start + field.size - 1 - int(seen[-1]))))
    assert gaps
    return field, gaps


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2), st.integers(1, 2))
def test_transposed_convolutions_hold_what_every_unit_sees_and_no_more(
    kernel: int, stride: int, padding: int, dilation: int
) -> None:
    if (kernel - 1) * dilation + 1 < stride:
        kernel = -(-(stride - 1) // dilation) + 1  # no unit without an input
    layer = nn.ConvTranspose2d(
        1, 1, (kernel, 1), (stride, 1), (min(padding, kernel - 1), 0), dilation=(dilation, 1), bias=False
    )
    field, gaps = _gaps(layer)
    assert field.stride * stride == 2
    starts, ends = zip(*gaps, strict=True)
    assert min(starts) >= 0
    assert min(ends) >= 0
    if dilation == 1:  # with gaps in the kernel, a following layer may reach none of the first pixels
        assert (min(starts), min(ends)) == (0, 0)


@pytest.mark.parametrize(
    "tested",
    [
        nn.Upsample(scale_factor=(2, 1)),
        nn.Upsample(scale_factor=(3, 1)),
        nn.Upsample(scale_factor=(2, 1), mode="bilinear"),
        nn.Upsample(scale_factor=(3, 1), mode="bilinear"),
        nn.Upsample(size=(33, 1)),
        nn.Upsample(size=(43, 1), mode="bilinear", align_corners=True),
        nn.Upsample(size=(33, 1), mode="bilinear"),
        lambda maps: F.interpolate(maps, scale_factor=(2, 1)),
        lambda maps: maps[:, :, 3:-2],
        lambda maps: maps[:, :, 1::2],
        lambda maps: F.pad(maps, (0, 0, 3, 1)),
        lambda maps: F.pad(maps, (0, 0, -3, 1)),
        lambda maps: F.avg_pool2d(maps, (3, 1), (2, 1), (1, 0)),
        lambda maps: F.adaptive_avg_pool2d(maps, (11, 1)),
        lambda maps: F.adaptive_avg_pool2d(maps, (8, 1)),
        nn.AdaptiveAvgPool2d((11, 1)),
        nn.ZeroPad2d((0, 0, 2, 1)),
    ],
)
def test_other_layers_hold_what_every_unit_sees_and_no_more(tested: Function | nn.Module) -> None:
    starts, ends = zip(*_gaps(tested)[1], strict=True)
    assert (min(starts), min(ends)) == (0, 0)


def test_bicubic_enlargement_holds_what_every_unit_sees() -> None:
    starts, ends = zip(*_gaps(nn.Upsample(scale_factor=(2, 1), mode="bicubic"))[1], strict=True)
    assert min(*starts, *ends) >= 0


def test_an_enlarged_map_has_fields_of_its_own_size_in_turn() -> None:
    """Kernel 4, stride 2, padding 1 on single pixels: every unit sees two of them, and the window moves by a half."""
    layer = nn.ConvTranspose2d(1, 1, 4, 2, 1, bias=False)
    assert receptive_fields(layer, (1, 9, 9), [""])[""] == ((2.5, 0.5, -1), (2.5, 0.5, -1))


def test_depth_to_space_and_unpooling_halve_the_jump() -> None:
    class Pools(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.unpool = nn.MaxPool2d(2), Unpooling()

        def forward(self, images: Tensor) -> Tensor:
            maps: Tensor = self.unpool(self.pool(images), images)
            return maps

    assert receptive_fields(Pools(), (1, 8, 8), ["unpool"])["unpool"][0] == (3, 1, -1)
    shuffled = nn.Sequential(nn.Conv2d(1, 4, 3, 2, bias=False), nn.PixelShuffle(2))
    assert receptive_fields(shuffled, (1, 9, 9), ["1"])["1"][0] == (4, 1, -1)


def test_darknets_reorg_reads_rows_around_its_own() -> None:
    """Its gradient, on a map whose rows are no multiple of the squared stride too."""
    for rows, columns in ((16, 8), (14, 8)):
        maps = torch.rand(1, 4, rows, columns, requires_grad=True)
        network = Reorg(2)
        down, across = receptive_fields(network, (4, rows, columns), [""])[""]
        for row in range(1, rows // 2 - 1):
            (gradient,) = torch.autograd.grad(network(maps)[0, :, row, 2].sum(), maps)
            seen = gradient[0].sum(0).nonzero()
            start = down.offset + row * down.stride
            assert start <= int(seen[:, 0].min())
            assert int(seen[:, 0].max()) < start + down.size
            assert {int(each) for each in seen[:, 1]} == {4, 5}
        assert (down, across) == ((4, 2, -1), (2, 2, 0))


class _Cropped(nn.Module):
    """A stand-in for regions that lie anywhere, as networks of regions without values have it."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(1, 2, 3, 2, padding=1), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.before(images)[:, :, :1, :1]
        regions: Tensor = self.after(maps.expand(-1, -1, 7, 7).repeat(3, 1, 1, 1))
        return regions


def test_a_single_unit_of_a_map_stands_for_all() -> None:
    assert receptive_fields(_Cropped(), (1, 16, 20), ["after"])["after"] == ((16, 0, 0), (20, 0, 0))


class _Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1)
        self.later = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        later: Tensor = self.later(maps * self.pool(maps))
        return later


def test_units_of_a_gated_map_all_see_the_whole_image() -> None:
    assert receptive_fields(_Gated(), (1, 9, 12), ["later"])["later"] == ((9, 0, 0), (12, 0, 0))


def test_branches_of_different_jumps_are_held_by_one_window() -> None:
    wide, narrow = ReceptiveField(5, 4, -2), ReceptiveField(3, 1, -1)
    for unit in range(6):
        whole = wide.union(narrow, 6)
        assert whole.offset + unit * whole.stride <= min(wide.offset + 4 * unit, narrow.offset + unit)
        end = whole.offset + unit * whole.stride + whole.size
        assert end >= max(wide.offset + 4 * unit + 5, narrow.offset + unit + 3)
    assert math.isclose(whole.size, 20)


class _Meeting(nn.Module):
    """Two branches that meet: units of one see 7 pixels from 5 before on, of the other 3 pixels from 1 before on, or
    from ``shift`` later.
    """

    def __init__(self, meet: Callable[[Tensor, Tensor], Tensor], shift: int, *, wide_first: bool) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 1, (7, 1), padding=(5, 0), bias=False)
        self.narrow = nn.Conv2d(1, 1, (3, 1), padding=(1, 0), bias=False)
        self.meet, self.shift, self.wide_first = meet, shift, wide_first
        for value in self.parameters():
            nn.init.ones_(value)

    def forward(self, images: Tensor) -> Tensor:
        wide, narrow = self.wide(images)[:, :, :SIDE], F.pad(self.narrow(images), (0, 0, 0, self.shift))
        narrow = narrow[:, :, self.shift :]
        return self.meet(wide, narrow) if self.wide_first else self.meet(narrow, wide)


@pytest.mark.parametrize("shift", [0, 6])
@pytest.mark.parametrize("wide_first", [True, False])
@pytest.mark.parametrize(
    "meet",
    [
        lambda left, right: torch.cat([left, right], 1),
        torch.add,
        lambda left, right: left + right,
        Tensor.add_,
        torch.mul,
        lambda left, right: left * right,
        Concatenate(),
        Elementwise("add"),
        Elementwise("mean"),
        Elementwise("multiply"),
    ],
)
def test_where_maps_meet_the_row_has_the_pixels_of_all_of_them(
    meet: Callable[[Tensor, Tensor], Tensor], shift: int, *, wide_first: bool
) -> None:
    met = _Meeting(meet, shift, wide_first=wide_first)
    row = summarize(met, (1, SIDE, 1)).layers[-1]
    images, unit = torch.linspace(1, 2, SIDE)[None, None, :, None].requires_grad_(), SIDE // 2
    (gradient,) = torch.autograd.grad(met(images)[0, :, unit].sum(), images)
    seen = gradient.flatten().nonzero().flatten()
    field = row.receptive_field
    assert (field.offset + unit * field.stride, field.size) == (int(seen[0]), int(seen[-1] - seen[0]) + 1)
    assert field.size == (13 if shift else 7)
