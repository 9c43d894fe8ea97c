from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.description import windows
from convolve.layers.geometry import ReceptiveField, Window

PIXEL = ReceptiveField(1, 1, 0)


@pytest.mark.parametrize(
    ("layer", "down", "across"),
    [
        (nn.Conv2d(1, 1, (3, 5), 2, (1, 2), dilation=3), Window(3, 2, 1, 3), Window(5, 2, 2, 3)),
        (nn.Conv2d(1, 1, 5, padding="same", dilation=2), Window(5, 1, 4, 2), Window(5, 1, 4, 2)),
        (nn.Conv2d(1, 1, 5, padding="valid"), Window(5, 1, 0, 1), Window(5, 1, 0, 1)),
        (nn.MaxPool2d(3, 2, 1), Window(3, 2, 1, 1), Window(3, 2, 1, 1)),
        (nn.AvgPool2d(2), Window(2, 2, 0, 1), Window(2, 2, 0, 1)),
    ],
)
def test_windows_of_layers(layer: nn.Module, down: Window, across: Window) -> None:
    assert windows(layer) == (down, across)


def test_layers_without_a_window_on_their_input() -> None:
    assert windows(nn.ConvTranspose2d(1, 1, 4, 2)) is None
    assert windows(nn.ReLU()) is None
    assert windows(nn.Linear(2, 2)) is None


def test_two_3x3_see_as_far_as_one_5x5_and_three_as_far_as_one_7x7() -> None:
    conv3 = Window(3, 1, 1, 1)
    two = PIXEL.through(conv3).through(conv3)
    assert two == PIXEL.through(Window(5, 1, 2, 1))
    assert two.through(conv3) == PIXEL.through(Window(7, 1, 3, 1))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 40))
def test_all_units_of_a_side_see_from_the_first_to_the_last(kernel: int, stride: int, units: int) -> None:
    field = PIXEL.through(Window(kernel, stride, 0, 1))
    whole = field.over(units)
    assert whole.size == (units - 1) * stride + kernel
    assert whole.offset == field.offset


def test_branches_meet_in_what_either_sees() -> None:
    assert ReceptiveField(3, 2, -1).union(ReceptiveField(5, 2, 0)) == ReceptiveField(6, 2, -1)


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), st.integers(13, 30))
def test_the_map_behind_a_window_is_as_large_as_torch_makes_it(
    kernel: int, stride: int, padding: int, dilation: int, side: int
) -> None:
    layer = nn.Conv2d(1, 1, kernel, stride, padding, dilation, device="meta")
    made = layer(torch.empty(1, 1, side, side, device="meta"))
    assert Window(kernel, stride, padding, dilation).output(side) == made.shape[2]


def test_the_lectures_output_sizes() -> None:
    window = Window(5, 3, 2, 1)
    assert (window.output(28, exact=True), window.output(31, exact=True)) == (10, 11)
    assert [Window(3, stride, 0, 1).output(7, exact=True) for stride in (1, 2)] == [5, 3]
    assert Window(3, 1, 1, 1).output(7, exact=True) == 7
    assert Window(3, 3, 0, 1).output(7) == 2
    with pytest.raises(
        NetworkError, match=r"^Windows of 3 with stride 3 and padding 0 leave a remainder of 1 on a side of 7; choose"
    ):
        Window(3, 3, 0, 1).output(7, exact=True)
    with pytest.raises(
        NetworkError,
        match=r"^A window that spans 5 units does not fit into a side of 4 with padding 0; choose a smaller",
    ):
        Window(3, 1, 0, 2).output(4)
