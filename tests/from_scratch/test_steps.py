"""Every step's terms add up to what it writes, and all steps together to what the library computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolve.from_scratch.activations import ACTIVATIONS
from convolve.from_scratch.affine import affine_backward, affine_forward
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.convolution import convolution_backward, convolution_forward
from convolve.from_scratch.filters import Picture
from convolve.from_scratch.normalization import batch_norm_backward, batch_norm_forward
from convolve.from_scratch.photographs import versions
from convolve.from_scratch.pooling import (
    average_pool_backward,
    average_pool_forward,
    extreme_pool_backward,
    max_pool_forward,
    min_pool_forward,
)
from convolve.from_scratch.steps.activations import KINDS, activation_walk
from convolve.from_scratch.steps.affine import Affine, affine_walk
from convolve.from_scratch.steps.convolution import Convolution, convolution_walk
from convolve.from_scratch.steps.normalization import Normalization, normalization_walk
from convolve.from_scratch.steps.pooling import Pooling, pooling_walk
from convolve.from_scratch.steps.values import Walk
from convolve.from_scratch.steps.wording import added, equation, factor, number, product
from convolve.from_scratch.windows import Sliding

few = settings(max_examples=25, deadline=None)
small = st.integers(1, 3)


def made(walk: Walk, name: str) -> Array:
    """The channels of what the walk made, such as y, or y1 and y2."""
    found = [grid.values for grid in walk.grids if grid.name.rstrip("0123456789,") == name]
    return np.array(found)


def adds_up(walk: Walk) -> None:
    """The blocks' totals and the bias are what is written; every cell that is named exists."""
    grids = {grid.name: np.array(grid.values) for grid in walk.grids}
    assert len(grids) == len(walk.grids)
    for step in walk.steps:
        bias = sum(grids[name][0][column] for name, _, column in step.read if name.rstrip("123") == "b")
        cells = [*step.read, *(cell for cell, _ in step.written)]
        for name, row, column in cells:
            assert 0 <= row < grids[name].shape[0]
            assert 0 <= column < grids[name].shape[1]
        if step.blocks and len(step.written) == 1:
            total = sum(block.total for block in step.blocks) + bias
            np.testing.assert_allclose(step.written[0][1], total, atol=1e-12)


def drawn(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


@few
@given(
    filters=st.tuples(small, small),  # of each group, and their channels
    kernel=st.tuples(small, small),
    sliding=st.builds(Sliding, small, st.integers(0, 2), st.integers(1, 2)),
    groups=small,
    biased=st.booleans(),
)
def test_convolution(
    filters: tuple[int, int], kernel: tuple[int, int], sliding: Sliding, groups: int, biased: bool
) -> None:
    x, w = drawn(filters[1] * groups, 6, 5), drawn(filters[0] * groups, filters[1], *kernel)
    b = drawn(len(w)) if biased else None
    y, memory = convolution_forward(x[None], w, np.zeros(len(w)) if b is None else b, sliding)
    dy = drawn(*y.shape[1:])
    walk = convolution_walk(Convolution(x, w, b, sliding, groups=groups), dy)
    adds_up(walk)
    dx, dw, db = convolution_backward(dy[None], memory)
    np.testing.assert_allclose(made(walk, "y"), y[0], atol=1e-12)
    np.testing.assert_allclose(made(walk, "dw"), dw.reshape(-1, *kernel), atol=1e-12)
    np.testing.assert_allclose(made(walk, "dx"), dx[0], atol=1e-12)
    if biased:
        np.testing.assert_allclose(made(walk, "db")[0, 0], db, atol=1e-12)
    else:
        assert not {"b", "db"} & {grid.name for grid in walk.grids}


def test_many_kernels_are_told_apart() -> None:
    x, w = drawn(11, 1, 1), drawn(11, 11, 1, 1)
    walk = convolution_walk(Convolution(x, w, None, Sliding()), None)
    assert {"w1,11", "w11,1"} < {grid.name for grid in walk.grids}
    adds_up(walk)


@few
@given(channels=small, filters=small, sliding=st.builds(Sliding, small, st.integers(0, 2), st.integers(1, 2)))
def test_convolution_in_one_dimension(channels: int, filters: int, sliding: Sliding) -> None:
    x, w = drawn(channels, 1, 9), drawn(filters, channels, 1, 3)
    y, memory = convolution_forward(x[None, :, 0], w[:, :, 0], np.zeros(filters), sliding)
    dy = drawn(*y.shape[1:])
    walk = convolution_walk(Convolution(x, w, None, sliding, line=True), dy[:, None])
    adds_up(walk)
    dx, dw, _ = convolution_backward(dy[None], memory)
    np.testing.assert_allclose(made(walk, "y")[:, 0], y[0], atol=1e-12)
    np.testing.assert_allclose(made(walk, "dw")[:, 0], dw.reshape(-1, 3), atol=1e-12)
    np.testing.assert_allclose(made(walk, "dx")[:, 0], dx[0], atol=1e-12)


@few
@given(
    kind=st.sampled_from(["max", "min", "average"]),
    size=small,
    stride=small,
    values=st.lists(st.integers(-3, 3), min_size=40, max_size=40),
)
def test_pooling(kind: str, size: int, stride: int, values: list[int]) -> None:
    x = np.array(values, np.float64).reshape(2, 4, 5)
    forward: Any = {"max": max_pool_forward, "min": min_pool_forward, "average": average_pool_forward}[kind]
    backward: Any = average_pool_backward if kind == "average" else extreme_pool_backward
    y, memory = forward(x[None], size, stride)
    dy = drawn(*y.shape[1:])
    walk = pooling_walk(Pooling(x, size, stride, kind), dy)
    np.testing.assert_allclose(made(walk, "y"), y[0], atol=1e-12)
    np.testing.assert_allclose(made(walk, "dx"), backward(dy[None], memory)[0], atol=1e-12)


@few
@given(examples=small, width=small, out=small)
def test_affine(examples: int, width: int, out: int) -> None:
    x, w, b, dy = drawn(examples, width), drawn(width, out), drawn(out), drawn(examples, out)
    walk = affine_walk(Affine(x, w, b), dy)
    adds_up(walk)
    y, memory = affine_forward(x, w, b)
    for name, expected in zip(("y", "dx", "dw", "db"), (y, *affine_backward(dy, memory)), strict=True):
        np.testing.assert_allclose(made(walk, name)[0], np.atleast_2d(expected), atol=1e-12)


@few
@given(examples=st.integers(1, 5), features=small)
def test_batch_normalization(examples: int, features: int) -> None:
    x, dy, gamma, beta = drawn(examples, features), drawn(examples, features), drawn(features), drawn(features)
    walk = normalization_walk(Normalization(x, gamma, beta), dy)
    y, memory = batch_norm_forward(x, gamma, beta)
    expected = dict(zip(("dx", "dγ", "dβ"), batch_norm_backward(dy, memory), strict=True))
    expected |= {"y": y, "x̂": memory.normalized, "μ": memory.mean, "σ²": memory.variance}
    for name, values in expected.items():
        np.testing.assert_allclose(made(walk, name)[0], np.atleast_2d(values), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_activations(kind: Any) -> None:
    x, dy = np.linspace(-3, 3, 8).reshape(2, 4), drawn(2, 4)
    forward, backward = ACTIVATIONS[kind]
    y, memory = forward(x)
    walk = activation_walk(kind, x, dy)
    adds_up(walk)
    np.testing.assert_allclose(made(walk, "y")[0], y, atol=1e-12)
    np.testing.assert_allclose(made(walk, "dx")[0], backward(dy, memory), atol=1e-12)


def test_numbers_are_short_and_negative_factors_stand_in_brackets() -> None:
    values = [3, -0.00001, 2.5, 1 / 3, 0.1 + 0.2, -0.0, 1e12, 0]
    assert [number(value) for value in values] == ["3", "-1e-05", "2.5", "0.3333", "0.3", "0", "1e+12", "0"]
    assert factor(-2) == "(-2)"
    assert product(3, -1).text == "3·(-1)"
    assert added([308, -498, 164, 1]) == "308 - 498 + 164 + 1"
    assert equation([], 0) == equation([0], 0) == "0"


def test_a_photograph_in_its_versions() -> None:
    picture: Picture = np.zeros((80, 90, 1), np.uint8)
    picture[:, 45:] = 100
    found = {version.name: version for version in versions(picture)}
    assert list(found)[1:5] == ["sharpen", "emboss", "vertical edges", "horizontal edges"]
    assert [found[name].span for name in ("vertical edges", "horizontal edges")] == [(0, 300), (0, 0)]
    assert found["average pooling"].picture.shape == (40, 45, 1)
    assert found["max pooling"].picture[0, 22] == 100  # the window across the edge
    assert (found["min pooling"].picture[0, 22], found["average pooling"].picture[0, 22]) == (0, 50)
    with pytest.raises(ValueError, match="smaller than the 3x3 filters"):
        versions(picture[:2])
