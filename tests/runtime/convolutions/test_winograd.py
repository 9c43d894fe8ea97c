"""Winograd's filtering, held against torch's direct convolution in double precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from convolve.runtime.convolutions.winograd import convolution
from tests.runtime.convolutions.tensors import assert_close_to_direct, random_tensor, relative_error

CLOSE = 1e-4
"""Of the largest number: fp32 over 1152 products, with transforms whose factors reach 25."""


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(3, 23), st.integers(3, 23)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    biased=st.booleans(),
)
def test_outputs_and_gradients_are_those_of_direct_convolution(
    sizes: tuple[int, int, int, int, int], padding: tuple[int, int], biased: bool
) -> None:
    count, inputs, outputs, height, width = sizes
    assert_close_to_direct(convolution, (count, inputs, height, width), (outputs, inputs, 3, 3), padding, biased, CLOSE)


def test_many_pieces_give_what_one_gives() -> None:
    """Maps that do not go through the cache at once."""
    images, weight = random_tensor(2, 128, 66, 70), random_tensor(96, 128, 3, 3, seed=1)
    expected = F.conv2d(images.double(), weight.double(), padding=1)
    assert relative_error(convolution(images, weight, None, (1, 1)), expected) < CLOSE


def test_the_same_call_gives_the_same_bits() -> None:
    images, weight = random_tensor(2, 128, 40, 40), random_tensor(128, 128, 3, 3, seed=1)
    first = convolution(images, weight, None, (1, 1))
    for _ in range(3):
        assert torch.equal(convolution(images.clone(), weight.clone(), None, (1, 1)), first)


def test_no_second_derivative_is_made_up() -> None:
    images = random_tensor(1, 2, 8, 8).requires_grad_()
    squares = convolution(images, random_tensor(2, 2, 3, 3), None, (1, 1)).square()
    gradient = torch.autograd.grad(squares.sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient[0].sum().backward()  # type: ignore[no-untyped-call]
