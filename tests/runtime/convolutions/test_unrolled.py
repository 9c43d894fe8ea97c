"""Convolutions as one matrix product, held against torch's direct convolution in double precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convolve.runtime.convolutions import unrolled
from tests.runtime.convolutions.tensors import assert_close_to_direct, random_tensor


@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    biased=st.booleans(),
)
def test_outputs_and_gradients_are_those_of_direct_convolution(
    sizes: tuple[int, int, int, int, int], kernel: tuple[int, int], padding: tuple[int, int], biased: bool
) -> None:
    count, inputs, outputs, height, width = sizes
    weight = (outputs, inputs, *kernel)
    assert_close_to_direct(unrolled.convolution, (count, inputs, height, width), weight, padding, biased, 1e-5)


@pytest.mark.parametrize("most", [1, 400, 2000])
def test_what_is_unrolled_at_a_time_changes_nothing(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unrolled, "_UNROLLED", most)
    assert_close_to_direct(unrolled.convolution, (3, 4, 7, 6), (5, 4, 3, 3), (1, 1), True, 1e-5)


def test_weights_are_taken_as_they_lie() -> None:
    weight = random_tensor(8, 4, 7, 7)
    assert unrolled._matrix(weight).data_ptr() == weight.data_ptr()
    images = random_tensor(2, 4, 9, 9)
    weight.requires_grad_()
    unrolled.convolution(images, weight, None, (0, 0)).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.is_contiguous(memory_format=torch.channels_last)
