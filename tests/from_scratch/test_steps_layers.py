"""The walks through maxout, dropout, layer normalization, LRN and the losses say what the library computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convolve.from_scratch import losses
from convolve.from_scratch.activations import maxout_backward, maxout_forward
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.dropout import dropout_backward, dropout_forward
from convolve.from_scratch.normalization import layer_norm_backward, layer_norm_forward
from convolve.from_scratch.response import response_backward, response_forward
from convolve.from_scratch.steps import response
from convolve.from_scratch.steps.distances import Distance, distance_walk
from convolve.from_scratch.steps.dropout import Dropout, dropout_walk
from convolve.from_scratch.steps.hinge import hinge_walk
from convolve.from_scratch.steps.maxout import Maxout, maxout_walk
from convolve.from_scratch.steps.normalization import Normalization, normalization_walk
from convolve.from_scratch.steps.scores import Scores
from convolve.from_scratch.steps.sizes import size_walk
from convolve.from_scratch.steps.softmax import softmax_walk
from convolve.from_scratch.steps.values import Walk
from convolve.from_scratch.windows import Sliding, output_size
from tests.from_scratch.test_steps import adds_up, drawn, few, made, small


def holds(walk: Walk, expected: Mapping[str, Any]) -> None:
    """The grids of those names have those values."""
    for name, values in expected.items():
        np.testing.assert_allclose(made(walk, name)[0], np.atleast_2d(values), rtol=1e-10, atol=1e-10, err_msg=name)


@few
@given(examples=small, width=small, out=small, pieces=st.integers(1, 3), biased=st.booleans())
def test_maxout(examples: int, width: int, out: int, pieces: int, biased: bool) -> None:
    x, w, dy = drawn(examples, width), drawn(pieces, width, out), drawn(examples, out)
    b = drawn(pieces, out) if biased else None
    walk = maxout_walk(Maxout(x, w, b), dy)
    adds_up(walk)
    y, memory = maxout_forward(x, w, np.zeros((pieces, out)) if b is None else b)
    dx, dw, db = maxout_backward(dy, memory)
    holds(walk, {"y": y, "dx": dx})
    np.testing.assert_allclose(made(walk, "dw"), dw, atol=1e-12)
    assert ("db1" in {grid.name for grid in walk.grids}) == biased
    if biased:
        np.testing.assert_allclose(made(walk, "db")[:, 0], db, atol=1e-12)


@few
@given(shape=st.tuples(small, small), share=st.sampled_from([0.0, 0.2, 0.5]))
def test_dropout(shape: tuple[int, int], share: float) -> None:
    x, dy = drawn(*shape), drawn(*shape) + 1
    y, memory = dropout_forward(x, share, np.random.default_rng(3))
    walk = dropout_walk(Dropout(x, np.sign(memory), share), dy)
    holds(walk, {"y": y, "dx": dropout_backward(dy, memory)})


@few
@given(examples=small, features=st.integers(1, 5))
def test_layer_normalization(examples: int, features: int) -> None:
    x, dy, gamma, beta = drawn(examples, features), drawn(examples, features), drawn(features), drawn(features)
    walk = normalization_walk(Normalization(x, gamma, beta, layer=True), dy)
    y, memory = layer_norm_forward(x, gamma, beta)
    dx, dgamma, dbeta = layer_norm_backward(dy, memory)
    holds(walk, {"y": y, "x̂": memory.normalized, "μ": memory.mean, "σ²": memory.variance})
    holds(walk, {"dx": dx, "dγ": dgamma, "dβ": dbeta})


@few
@given(
    shape=st.tuples(small, st.integers(1, 7)),
    window=st.sampled_from([1, 3, 5]),
    kind=st.sampled_from(["paper", "caffe"]),
)
def test_local_response_normalization(shape: tuple[int, int], window: int, kind: str) -> None:
    x, dy, constants = 200 * drawn(*shape), drawn(*shape), response.constants(kind, window)
    walk = response.response_walk(response.Channels(x, constants), dy)
    y, memory = response_forward(x, constants)
    holds(walk, {"y": y, "q": memory.divisor, "dx": response_backward(dy, memory)})


def classified(rows: int, classes: int) -> tuple[Array, Labels, Scores]:
    x, labels = 3 * drawn(rows, classes), np.random.default_rng(rows).integers(classes, size=rows)
    return x, labels, Scores(x, tuple(labels.tolist()))


@few
@given(rows=small, classes=st.integers(1, 5))
def test_softmax_with_cross_entropy(rows: int, classes: int) -> None:
    x, labels, scores = classified(rows, classes)
    loss, memory = losses.cross_entropy_forward(x, labels)
    walk = softmax_walk(scores, backward=True)
    holds(walk, {"p": losses.softmax_forward(x)[0], "L": loss, "dx": losses.cross_entropy_backward(memory)})
    assert "dx" not in {grid.name for grid in softmax_walk(scores, backward=False).grids}


@few
@given(rows=small, classes=st.integers(1, 5))
def test_multiclass_hinge(rows: int, classes: int) -> None:
    x, labels, scores = classified(rows, classes)
    loss, memory = losses.hinge_forward(x, labels)
    walk = hinge_walk(scores, backward=True)
    holds(walk, {"m": memory[0], "L": loss, "dx": losses.hinge_backward(memory)})
    assert "dx" not in {grid.name for grid in hinge_walk(scores, backward=False).grids}


@pytest.mark.parametrize("kind", ["l1", "l2"])
@few
@given(shape=st.tuples(small, small))
def test_distances(kind: Distance, shape: tuple[int, int]) -> None:
    x, target = drawn(*shape), np.zeros(shape)
    x[0, 0] = 0  # nothing apart
    forward: Any = {"l1": losses.l1_forward, "l2": losses.l2_forward}[kind]
    backward: Any = {"l1": losses.l1_backward, "l2": losses.l2_backward}[kind]
    loss, memory = forward(x, target)
    holds(distance_walk(kind, x, target, backward=True), {"L": loss, "dx": backward(memory)})
    assert "dx" not in {grid.name for grid in distance_walk(kind, x, target, backward=False).grids}


@few
@given(side=st.integers(3, 40), kernel=small, sliding=st.builds(Sliding, small, st.integers(0, 2), st.integers(1, 2)))
def test_sizes(side: int, kernel: int, sliding: Sliding) -> None:
    if side + 2 * sliding.padding <= sliding.dilation * (kernel - 1):
        return
    walk = size_walk(np.array([[side, side + 3]]), np.array([[kernel, kernel]]), sliding)
    holds(walk, {"O": [output_size(side, kernel, sliding), output_size(side + 3, kernel, sliding)]})


def test_sizes_in_words() -> None:
    def said(kernel: float, sliding: Sliding) -> str:
        return size_walk(np.array([[7.0, 7]]), np.array([[kernel, kernel]]), sliding).steps[0].sums[0]

    assert said(3, Sliding(2)) == "(7 + 2·0 - 3) / 2 + 1 = 3"
    assert said(3, Sliding(3)) == "(7 + 2·0 - 3) / 3 + 1 = 2.3333, rounded down: 2"
    assert said(3, Sliding(1, 1, 2)) == "(7 + 2·1 - 2·(3 - 1) - 1) / 1 + 1 = 5"
