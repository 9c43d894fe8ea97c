"""The terms of every step add up to what it computes, and all steps together to what the library computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax  # type: ignore[import-untyped]

import convolve
from convolve.from_scratch import losses
from convolve.from_scratch.activations import ACTIVATIONS, maxout_backward, maxout_forward
from convolve.from_scratch.affine import affine_backward, affine_forward
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.convolution import (
    convolution_backward,
    convolution_forward,
    transposed_convolution_backward,
    transposed_convolution_forward,
)
from convolve.from_scratch.dropout import dropout_backward, dropout_forward
from convolve.from_scratch.initializers import gaussian, he, xavier
from convolve.from_scratch.normalization import (
    batch_norm_backward,
    batch_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    local_response_norm_backward,
    local_response_norm_forward,
)
from convolve.from_scratch.optimizers import RULES, Optimizer
from convolve.from_scratch.pooling import (
    average_pool_backward,
    average_pool_forward,
    extreme_pool_backward,
    max_pool_forward,
    min_pool_forward,
)
from convolve.from_scratch.traces.activations import CURVES, activation_trace
from convolve.from_scratch.traces.affine import AffineInputs, affine_trace
from convolve.from_scratch.traces.convolution import ConvolutionInputs, convolution_trace
from convolve.from_scratch.traces.dropout import DropoutInputs, dropout_trace
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.traces.initialization import InitializationInputs
from convolve.from_scratch.traces.local_response_norm import LRNInputs, lrn_constants, lrn_trace
from convolve.from_scratch.traces.losses import Distance, Scores, distance_trace, hinge_trace
from convolve.from_scratch.traces.maxout import MaxoutInputs, maxout_trace
from convolve.from_scratch.traces.normalization import NormalizationInputs, normalization_trace
from convolve.from_scratch.traces.normalization_graph import normalization_graph_trace
from convolve.from_scratch.traces.optimizers import OptimizerInputs, clipped_segment, optimizer_trace
from convolve.from_scratch.traces.pooling import PoolingInputs, pooling_trace
from convolve.from_scratch.traces.softmax import softmax_loss_trace, softmax_trace
from convolve.from_scratch.traces.trace import (
    Trace,
    format_equation,
    format_factor,
    format_number,
    format_sum,
    product,
)
from convolve.from_scratch.traces.transposed_convolution import TransposedInputs, transposed_trace
from convolve.from_scratch.traces.windows import size_trace
from convolve.from_scratch.windows import Sliding, output_size
from convolve.verbs.scratch import WorkedCalculation

few = settings(max_examples=25, deadline=None)
small = st.integers(1, 3)


def grids(trace: Trace, name: str) -> Array:
    """The values of the grids of a name, such as y, or y1 and y2."""
    return np.array([grid.values for grid in trace.grids if grid.name.rstrip("0123456789,") == name])


def check_sums(trace: Trace) -> None:
    """The tables' totals and the bias sum to the output; every cell of a step exists."""
    values = {grid.name: np.array(grid.values) for grid in trace.grids}
    assert len(values) == len(trace.grids)
    for step in trace.steps:
        bias = sum(values[name][0][column] for name, _, column in step.inputs if name.rstrip("123") == "b")
        cells = [*step.inputs, *(cell for cell, _ in step.outputs)]
        for name, row, column in cells:
            assert 0 <= row < values[name].shape[0]
            assert 0 <= column < values[name].shape[1]
        if step.tables and len(step.outputs) == 1:
            total = sum(table.total for table in step.tables) + bias
            np.testing.assert_allclose(step.outputs[0][1], total, atol=1e-12)


def random_array(*shape: int) -> Array:
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
    x, w = random_array(filters[1] * groups, 6, 5), random_array(filters[0] * groups, filters[1], *kernel)
    b = random_array(len(w)) if biased else None
    y, cache = convolution_forward(x[None], w, np.zeros(len(w)) if b is None else b, sliding)
    dy = random_array(*y.shape[1:])
    trace = convolution_trace(ConvolutionInputs(x, w, b, sliding, groups=groups), dy)
    check_sums(trace)
    dx, dw, db = convolution_backward(dy[None], cache)
    np.testing.assert_allclose(grids(trace, "y"), y[0], atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dw"), dw.reshape(-1, *kernel), atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dx"), dx[0], atol=1e-12)
    if biased:
        np.testing.assert_allclose(grids(trace, "db")[0, 0], db, atol=1e-12)
    else:
        assert not {"b", "db"} & {grid.name for grid in trace.grids}


def test_many_kernels_have_distinct_names() -> None:
    x, w = random_array(11, 1, 1), random_array(11, 11, 1, 1)
    trace = convolution_trace(ConvolutionInputs(x, w, None, Sliding()), None)
    assert {"w1,11", "w11,1"} < {grid.name for grid in trace.grids}
    check_sums(trace)


@few
@given(channels=small, filters=small, sliding=st.builds(Sliding, small, st.integers(0, 2), st.integers(1, 2)))
def test_convolution_in_one_dimension(channels: int, filters: int, sliding: Sliding) -> None:
    x, w = random_array(channels, 1, 9), random_array(filters, channels, 1, 3)
    y, cache = convolution_forward(x[None, :, 0], w[:, :, 0], np.zeros(filters), sliding)
    dy = random_array(*y.shape[1:])
    trace = convolution_trace(ConvolutionInputs(x, w, None, sliding, one_dimensional=True), dy[:, None])
    check_sums(trace)
    dx, dw, _ = convolution_backward(dy[None], cache)
    np.testing.assert_allclose(grids(trace, "y")[:, 0], y[0], atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dw")[:, 0], dw.reshape(-1, 3), atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dx")[:, 0], dx[0], atol=1e-12)


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
    y, cache = forward(x[None], size, stride)
    dy = random_array(*y.shape[1:])
    trace = pooling_trace(PoolingInputs(x, size, stride, kind), dy)
    np.testing.assert_allclose(grids(trace, "y"), y[0], atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dx"), backward(dy[None], cache)[0], atol=1e-12)


@few
@given(examples=small, width=small, out=small)
def test_affine(examples: int, width: int, out: int) -> None:
    x, w, b, dy = (
        random_array(examples, width),
        random_array(width, out),
        random_array(out),
        random_array(examples, out),
    )
    trace = affine_trace(AffineInputs(x, w, b), dy)
    check_sums(trace)
    y, cache = affine_forward(x, w, b)
    for name, expected in zip(("y", "dx", "dw", "db"), (y, *affine_backward(dy, cache)), strict=True):
        np.testing.assert_allclose(grids(trace, name)[0], np.atleast_2d(expected), atol=1e-12)


@few
@given(examples=st.integers(1, 5), features=small)
def test_batch_normalization(examples: int, features: int) -> None:
    x, dy, gamma, beta = (
        random_array(examples, features),
        random_array(examples, features),
        random_array(features),
        random_array(features),
    )
    trace = normalization_trace(NormalizationInputs(x, gamma, beta), dy)
    y, cache = batch_norm_forward(x, gamma, beta)
    expected = dict(zip(("dx", "dγ", "dβ"), batch_norm_backward(dy, cache), strict=True))
    expected |= {"y": y, "x̂": cache.normalized, "μ": cache.mean, "σ²": cache.variance}
    for name, values in expected.items():
        np.testing.assert_allclose(grids(trace, name)[0], np.atleast_2d(values), atol=1e-9)


@pytest.mark.parametrize("kind", CURVES)
def test_activations(kind: Any) -> None:
    x, dy = np.linspace(-3, 3, 8).reshape(2, 4), random_array(2, 4)
    forward, backward = ACTIVATIONS[kind]
    y, cache = forward(x)
    trace = activation_trace(kind, x, dy)
    check_sums(trace)
    np.testing.assert_allclose(grids(trace, "y")[0], y, atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dx")[0], backward(dy, cache), atol=1e-12)


def test_numbers_are_short_and_negative_factors_are_in_parentheses() -> None:
    values = [3, -0.00001, 2.5, 1 / 3, 0.1 + 0.2, -0.0, 1e12, 0]
    assert [format_number(value) for value in values] == ["3", "-1e-05", "2.5", "0.3333", "0.3", "0", "1e+12", "0"]
    assert format_factor(-2) == "(-2)"
    assert product(3, -1).text == "3·(-1)"
    assert format_sum([308, -498, 164, 1]) == "308 - 498 + 164 + 1"
    assert format_equation([], 0) == format_equation([0], 0) == "0"


def check_values(trace: Trace, expected: Mapping[str, Any]) -> None:
    """The grids of these names have these values."""
    for name, values in expected.items():
        np.testing.assert_allclose(grids(trace, name)[0], np.atleast_2d(values), rtol=1e-10, atol=1e-10, err_msg=name)


@few
@given(examples=small, width=small, out=small, pieces=st.integers(1, 3), biased=st.booleans())
def test_maxout(examples: int, width: int, out: int, pieces: int, biased: bool) -> None:
    x, w, dy = random_array(examples, width), random_array(pieces, width, out), random_array(examples, out)
    b = random_array(pieces, out) if biased else None
    trace = maxout_trace(MaxoutInputs(x, w, b), dy)
    check_sums(trace)
    y, cache = maxout_forward(x, w, np.zeros((pieces, out)) if b is None else b)
    dx, dw, db = maxout_backward(dy, cache)
    check_values(trace, {"y": y, "dx": dx})
    np.testing.assert_allclose(grids(trace, "dw"), dw, atol=1e-12)
    assert ("db1" in {grid.name for grid in trace.grids}) == biased
    if biased:
        np.testing.assert_allclose(grids(trace, "db")[:, 0], db, atol=1e-12)


@few
@given(shape=st.tuples(small, small), probability=st.sampled_from([0.0, 0.2, 0.5]))
def test_dropout(shape: tuple[int, int], probability: float) -> None:
    x, dy = random_array(*shape), random_array(*shape) + 1
    y, cache = dropout_forward(x, probability, np.random.default_rng(3))
    trace = dropout_trace(DropoutInputs(x, np.sign(cache), probability), dy)
    check_values(trace, {"y": y, "dx": dropout_backward(dy, cache)})


@few
@given(examples=small, features=st.integers(1, 5))
def test_layer_normalization(examples: int, features: int) -> None:
    x, dy, gamma, beta = (
        random_array(examples, features),
        random_array(examples, features),
        random_array(features),
        random_array(features),
    )
    trace = normalization_trace(NormalizationInputs(x, gamma, beta, by_example=True), dy)
    y, cache = layer_norm_forward(x, gamma, beta)
    dx, dgamma, dbeta = layer_norm_backward(dy, cache)
    check_values(trace, {"y": y, "x̂": cache.normalized, "μ": cache.mean, "σ²": cache.variance})
    check_values(trace, {"dx": dx, "dγ": dgamma, "dβ": dbeta})


@few
@given(
    shape=st.tuples(small, st.integers(1, 7)),
    window=st.sampled_from([1, 3, 5]),
    kind=st.sampled_from(["paper", "caffe"]),
)
def test_local_response_normalization(shape: tuple[int, int], window: int, kind: str) -> None:
    x, dy, constants = 200 * random_array(*shape), random_array(*shape), lrn_constants(kind, window)
    trace = lrn_trace(LRNInputs(x, constants), dy)
    y, cache = local_response_norm_forward(x, constants)
    check_values(trace, {"y": y, "q": cache.divisor, "dx": local_response_norm_backward(dy, cache)})


def random_scores(rows: int, classes: int) -> tuple[Array, Labels, Scores]:
    x, labels = 3 * random_array(rows, classes), np.random.default_rng(rows).integers(classes, size=rows)
    return x, labels, Scores(x, tuple(labels.tolist()))


@few
@given(rows=small, classes=st.integers(1, 5))
def test_softmax_with_cross_entropy(rows: int, classes: int) -> None:
    x, labels, scores = random_scores(rows, classes)
    loss, cache = losses.cross_entropy_forward(x, labels)
    trace = softmax_loss_trace(scores, backward=True)
    check_values(trace, {"p": losses.softmax_forward(x)[0], "L": loss, "dx": losses.cross_entropy_backward(cache)})
    assert "dx" not in {grid.name for grid in softmax_loss_trace(scores, backward=False).grids}


@few
@given(rows=small, classes=st.integers(1, 5))
def test_softmax_with_its_jacobian(rows: int, classes: int) -> None:
    x = 3 * random_array(rows, classes)
    trace = softmax_trace(x)
    check_values(trace, {"p": softmax(x, 1), "m": x.max(1, keepdims=True)})
    jacobians = grids(trace, "J")
    assert jacobians.shape == (rows, classes, classes)
    step = 1e-6 * np.eye(classes)  # central differences, one score at a time
    for row, jacobian in zip(x, jacobians, strict=True):
        above, below = softmax(row + step, 1), softmax(row - step, 1)
        np.testing.assert_allclose(jacobian, (above - below).T / 2e-6, atol=1e-8)


def test_scores_far_apart_have_a_finite_loss() -> None:
    trace = softmax_loss_trace(Scores(np.array([[1.0, 1000.0, -1000.0]]), (2,)), backward=True)
    check_values(trace, {"p": np.array([[0.0, 1, 0]]), "L": 2000.0, "dx": np.array([[0.0, 1, -1]])})


@few
@given(rows=small, classes=st.integers(1, 5))
def test_multiclass_hinge(rows: int, classes: int) -> None:
    x, labels, scores = random_scores(rows, classes)
    loss, cache = losses.hinge_forward(x, labels)
    trace = hinge_trace(scores, backward=True)
    check_values(trace, {"m": cache[0], "L": loss, "dx": losses.hinge_backward(cache)})
    assert "dx" not in {grid.name for grid in hinge_trace(scores, backward=False).grids}


@pytest.mark.parametrize("kind", ["l1", "l2"])
@few
@given(shape=st.tuples(small, small))
def test_distances(kind: Distance, shape: tuple[int, int]) -> None:
    x, target = random_array(*shape), np.zeros(shape)
    x[0, 0] = 0  # distance 0
    forward: Any = {"l1": losses.l1_forward, "l2": losses.l2_forward}[kind]
    backward: Any = {"l1": losses.l1_backward, "l2": losses.l2_backward}[kind]
    loss, cache = forward(x, target)
    check_values(distance_trace(kind, x, target, backward=True), {"L": loss, "dx": backward(cache)})
    assert "dx" not in {grid.name for grid in distance_trace(kind, x, target, backward=False).grids}


@few
@given(side=st.integers(3, 40), kernel=small, sliding=st.builds(Sliding, small, st.integers(0, 2), st.integers(1, 2)))
def test_sizes(side: int, kernel: int, sliding: Sliding) -> None:
    if side + 2 * sliding.padding <= sliding.dilation * (kernel - 1):
        return
    trace = size_trace(np.array([[side, side + 3]]), np.array([[kernel, kernel]]), sliding)
    check_values(trace, {"O": [output_size(side, kernel, sliding), output_size(side + 3, kernel, sliding)]})


def test_sizes_as_text() -> None:
    def text(kernel: float, sliding: Sliding) -> str:
        return size_trace(np.array([[7.0, 7]]), np.array([[kernel, kernel]]), sliding).steps[0].equations[0]

    assert text(3, Sliding(2)) == "(7 + 2·0 - 3) / 2 + 1 = 3"
    assert text(3, Sliding(3)) == "(7 + 2·0 - 3) / 3 + 1 = 2.3333, rounded down: 2"
    assert text(3, Sliding(1, 1, 2)) == "(7 + 2·1 - 2·(3 - 1) - 1) / 1 + 1 = 5"


@few
@given(
    channels=small,
    filters=small,
    sliding=st.builds(Sliding, small, st.integers(0, 1), st.integers(1, 2)),
    biased=st.booleans(),
)
def test_transposed_convolution(channels: int, filters: int, sliding: Sliding, biased: bool) -> None:
    x, w = random_array(channels, 2, 3), random_array(filters, channels, 3, 3)
    b = random_array(filters) if biased else None
    y, cache = transposed_convolution_forward(x[None], w, np.zeros(filters) if b is None else b, sliding)
    dy = random_array(*y.shape[1:])
    trace = transposed_trace(TransposedInputs(x, w, b, sliding), dy)
    dx, dw, db = transposed_convolution_backward(dy[None], cache)
    np.testing.assert_allclose(grids(trace, "y"), y[0], atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dw"), dw.reshape(-1, 3, 3), atol=1e-12)
    np.testing.assert_allclose(grids(trace, "dx"), dx[0], atol=1e-12)
    if biased:
        np.testing.assert_allclose(grids(trace, "db")[0, 0], db, atol=1e-12)


def test_a_transposed_convolution_takes_the_backward_pass_of_a_convolution_forward() -> None:
    x, w, sliding = random_array(1, 2, 7, 7), random_array(3, 2, 3, 3), Sliding(2, 1)
    y, cache = convolution_forward(x, w, np.zeros(3), sliding)
    dy = random_array(*y.shape)
    up, _ = transposed_convolution_forward(dy, w.swapaxes(0, 1), np.zeros(2), sliding)
    np.testing.assert_allclose(up, convolution_backward(dy, cache)[0], atol=1e-12)


@few
@given(examples=st.integers(1, 5), features=small)
def test_the_graph_of_batch_normalization_gives_what_the_formula_gives(examples: int, features: int) -> None:
    x, dy = random_array(examples, features), random_array(examples, features)
    inputs = NormalizationInputs(x, random_array(features), random_array(features))
    formula, graph = normalization_trace(inputs, dy), normalization_graph_trace(inputs, dy)
    for name in ("μ", "σ²", "x̂", "y", "dβ", "dγ", "dx"):
        np.testing.assert_allclose(grids(graph, name), grids(formula, name), rtol=1e-6, atol=1e-9, err_msg=name)
    assert [phase.title[:8] for phase in normalization_graph_trace(inputs, None).phases] == ["Forward:"] * 8


@pytest.mark.parametrize("name", RULES)
def test_the_worked_steps_are_those_of_the_rules(name: str) -> None:
    w = np.array([-2.0, 1.5])
    given = OptimizerInputs("bowl", w.copy(), 7, {name: 0.05})
    optimizer = Optimizer(RULES[name](learning_rate=0.05))  # type: ignore[call-arg]
    centers = [(1, 0.5), (-1, -0.5), (1, -0.5), (-1, 0.5)] if name == "sgd" else [(0, 0)]
    for t in range(7):
        optimizer.step({"w": w}, {"w": np.array([0.1, 2.0]) * (w - centers[t % len(centers)])})
        np.testing.assert_allclose(given.paths[name][0][t + 1], w, rtol=1e-9)


def test_a_path_that_diverges_says_so_and_ends() -> None:
    trace = optimizer_trace(OptimizerInputs("bowl", np.array([1.0, 1.0]), 200, {"gradient descent": 100.0}))
    assert len(trace.steps) < 20
    assert trace.steps[-2].equations[-1] == "it has diverged, and ends here: take a smaller learning rate"


def test_a_path_is_drawn_up_to_the_edge() -> None:
    start, inside, outside = np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([4.0, 2.0])
    assert clipped_segment((2.0, 2.0), outside, start) is None
    for end, expected in ((inside, (1.0, 1.0)), (outside, (2.0, 1.0))):
        segment = clipped_segment((2.0, 2.0), start, end)
        assert segment is not None
        np.testing.assert_allclose(segment[1], expected)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("name", ["gaussian", "xavier", "he"])
def test_the_spread_of_ten_layers_is_that_of_the_package(activation: Any, name: str) -> None:
    inputs = InitializationInputs(200, 30, 10, activation, [name], 3)
    random, initializer = np.random.default_rng(3), {"gaussian": gaussian, "xavier": xavier, "he": he}[name]
    x: Array = random.standard_normal((200, 30))
    for spread in inputs.spreads[name]:
        x = ACTIVATIONS[activation][0](x @ initializer(random, (30, 30), np.float64))[0]
        np.testing.assert_allclose((spread.mean, spread.spread), (x.mean(), x.std()), rtol=1e-9)
        assert sum(spread.histogram) == pytest.approx(1)


def test_the_initializers_do_what_the_lecture_says() -> None:
    tanh = InitializationInputs(1000, 100, 10, "tanh", ["gaussian", "normal", "xavier"], 0).spreads
    assert tanh["gaussian"][-1].spread < 1e-9  # nothing is left
    assert tanh["normal"][-1].counted > 0.7  # at the ends of tanh
    assert 0.2 < tanh["xavier"][-1].spread < 0.4
    relu = InitializationInputs(1000, 100, 10, "relu", ["xavier", "he"], 0).spreads
    assert relu["xavier"][-1].spread < 0.1 < 0.4 < relu["he"][-1].spread


def test_the_drawing_of_a_convolution_marks_the_windows_over_a_pixel() -> None:
    x, w = random_array(1, 4, 4), random_array(1, 1, 2, 2)
    trace = convolution_trace(ConvolutionInputs(x, w, None, Sliding()), np.ones((1, 3, 3)))
    marks = {step.title: {name for name, _ in step.marks} for step in trace.steps}
    assert marks["y[1,2]"] == {"window 0,1"}
    assert marks["dx[1,1]"] == {"cell 0,0", "window 0,0"}
    assert marks["dx[2,2]"] == {"cell 1,1", "window 0,0", "window 0,1", "window 1,0", "window 1,1"}
    assert marks["dw[1,1]"] == {f"cell {i},{j}" for i in range(3) for j in range(3)}
    assert trace.drawing is not None
    assert set.union(*marks.values()) <= {shape.name for shape in trace.drawing.shapes}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_mark_is_of_a_shape_and_every_shape_has_its_own_name(name: str) -> None:
    result = convolve.scratch(example=name, progress=False)
    assert isinstance(result, WorkedCalculation)
    names = [shape.name for shape in result.trace.drawing.shapes] if result.trace.drawing else []
    assert len(names) == len(set(names))
    assert {mark for step in result.trace.steps for mark, _ in step.marks} <= set(names)
