"""`convolve.from_scratch` against torch: every layer's output and gradients against its function and autograd in
float64, and every optimizer that torch has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from convolve.from_scratch import activations, affine, convolution, layers, losses, normalization, optimizers, pooling
from convolve.from_scratch import networks as ours
from convolve.from_scratch.activations import Activation
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.normalization import LRNConstants, local_response_norm_backward, local_response_norm_forward
from convolve.from_scratch.optimizers import Rule
from convolve.from_scratch.windows import Sliding
from tests.from_scratch.gradients import Backward, Forward, compute_gradients

SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=40)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def compare(forward: Forward, backward: Backward, theirs: Callable[..., Tensor], *inputs: Array) -> None:
    """Output, and the gradients of a random dy for every input."""
    y, dy, actual = compute_gradients(forward, backward, inputs)
    leaves = [torch.tensor(value, requires_grad=True) for value in inputs]
    output = theirs(*leaves)
    np.testing.assert_allclose(y, output.detach(), rtol=1e-10, atol=1e-12)
    expected = torch.autograd.grad(output, leaves, torch.from_numpy(dy))
    for gradient, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-9, atol=1e-11)


@quick
@given(SEEDS, st.integers(1, 5), st.integers(1, 6), st.integers(1, 5))
def test_affine(seed: int, count: int, inputs: int, outputs: int) -> None:
    values = normal(seed, count, inputs), normal(seed + 1, inputs, outputs), normal(seed + 2, outputs)
    compare(affine.affine_forward, affine.affine_backward, lambda x, w, b: F.linear(x, w.T, b), *values)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Array, Array, Array, Sliding, int]:
    rank, groups, seed = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(SEEDS)
    sliding = Sliding(draw(st.integers(1, 4)), draw(st.integers(0, 3)), draw(st.integers(1, 3)))
    kernel = [draw(st.integers(1, 4)) for _ in range(rank)]
    reach = [sliding.dilation * (side - 1) + 1 for side in kernel]
    size = [max(side - 2 * sliding.padding, 1) + draw(st.integers(0, 6)) for side in reach]
    x = normal(seed, draw(st.integers(1, 3)), groups * (channels := draw(st.integers(1, 3))), *size)
    w = normal(seed + 1, groups * draw(st.integers(1, 3)), channels, *kernel)
    return x, w, normal(seed + 2, len(w)), sliding, groups


@settings(max_examples=150)
@given(convolutions())
def test_convolution(case: tuple[Array, Array, Array, Sliding, int]) -> None:
    x, w, b, sliding, groups = case
    function = F.conv1d if w.ndim == 3 else F.conv2d
    way = {"stride": sliding.stride, "padding": sliding.padding, "dilation": sliding.dilation, "groups": groups}
    forward = partial(convolution.convolution_forward, sliding=sliding)
    compare(forward, convolution.convolution_backward, partial(function, **way), x, w, b)


@settings(max_examples=60)
@given(convolutions())
def test_transposed_convolution(case: tuple[Array, Array, Array, Sliding, int]) -> None:
    _, w, b, sliding, _ = case
    x = normal(w.size, 2, w.shape[1], *[3, 4][: w.ndim - 2])
    sides = zip(x.shape[2:], w.shape[2:], strict=True)
    if min(sliding.stride * (side - 1) + sliding.extent(taps) - 2 * sliding.padding for side, taps in sides) < 1:
        with pytest.raises(ValueError, match="cuts off all"):
            convolution.transposed_convolution_forward(x, w, b, sliding)
        return
    function = F.conv_transpose1d if w.ndim == 3 else F.conv_transpose2d
    way = {"stride": sliding.stride, "padding": sliding.padding, "dilation": sliding.dilation}
    compare(
        partial(convolution.transposed_convolution_forward, sliding=sliding),
        convolution.transposed_convolution_backward,
        lambda x, w, b: function(x, w.transpose(0, 1), b, **way),
        x, w, b,
    )  # fmt: skip


@quick
@given(SEEDS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_global_average_pooling(seed: int, count: int, channels: int, height: int, width: int) -> None:
    x = normal(seed, count, channels, height, width)
    forward, backward = pooling.global_average_pool_forward, pooling.global_average_pool_backward
    compare(forward, backward, lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), x)


@pytest.mark.parametrize(("channels", "shape"), [(3, (2, 2, 3, 3)), (2, (2, 3, 3, 3)), (4, (3, 2, 3, 3))])
def test_channels_that_do_not_divide_are_refused(channels: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not divide an input"):
        convolution.convolution_forward(np.ones((1, channels, 4, 4)), np.ones(shape), np.ones(shape[0]))


Pooling = Callable[[Tensor, int, int], Tensor]
POOLS: dict[str, tuple[Forward, Backward, Pooling, Pooling]] = {
    "max": (pooling.max_pool_forward, pooling.extreme_pool_backward, F.max_pool1d, F.max_pool2d),
    "min": (
        pooling.min_pool_forward,
        pooling.extreme_pool_backward,
        lambda x, size, stride: -F.max_pool1d(-x, size, stride),
        lambda x, size, stride: -F.max_pool2d(-x, size, stride),
    ),
    "average": (pooling.average_pool_forward, pooling.average_pool_backward, F.avg_pool1d, F.avg_pool2d),
}


@pytest.mark.parametrize("kind", POOLS)
@quick
@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(4, 9), min_size=1, max_size=2), st.booleans())
def test_pooling(kind: str, seed: int, size: int, stride: int, sides: list[int], ties: bool) -> None:
    forward, backward, *theirs = POOLS[kind]
    x = normal(seed, 2, 2, *sides)
    x = np.maximum(np.rint(x), 0) if ties else x
    compare(partial(forward, size=size, stride=stride), backward, lambda x: theirs[len(sides) - 1](x, size, stride), x)


THEIRS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky relu": partial(F.leaky_relu, negative_slope=0.1),
    "elu": F.elu,
}


@pytest.mark.parametrize("name", THEIRS)
@quick
@given(SEEDS, st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_activations(name: Activation, seed: int, shape: list[int]) -> None:
    x = 3 * normal(seed, *shape)
    x.flat[0] = 0  # a kink
    compare(*activations.ACTIVATIONS[name], THEIRS[name], x)


def test_activations_at_extreme_values_neither_overflow_nor_warn() -> None:
    x = np.array([-1e4, -800.0, 800, 1e4])
    for name, function in THEIRS.items():
        compare(*activations.ACTIVATIONS[name], function, x)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_other_leaks_and_alphas(alpha: float) -> None:
    x = normal(0, 20)
    compare(partial(activations.elu_forward, alpha=alpha), activations.elu_backward, partial(F.elu, alpha=alpha), x)
    leaky = partial(activations.leaky_relu_forward, leak=alpha / 4)
    compare(leaky, activations.leaky_relu_backward, partial(F.leaky_relu, negative_slope=alpha / 4), x)


@quick
@given(SEEDS, st.integers(1, 5))
def test_maxout(seed: int, pieces: int) -> None:
    def theirs(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return (x @ w + b[:, None]).amax(0)

    values = normal(seed, 4, 3), normal(seed + 1, pieces, 3, 5), normal(seed + 2, pieces, 5)
    compare(activations.maxout_forward, activations.maxout_backward, theirs, *values)


@quick
@given(SEEDS, st.integers(1, 6), st.integers(2, 6), st.sampled_from([1.0, 1000.0]))
def test_losses_of_classifiers(seed: int, count: int, classes: int, size: float) -> None:
    x, labels = size * normal(seed, count, classes), np.random.default_rng(seed).integers(classes, size=count)
    compare(losses.softmax_forward, losses.softmax_backward, partial(torch.softmax, dim=1), x)
    for loss, theirs in ((losses.SOFTMAX, F.cross_entropy), (losses.HINGE, _hinge)):
        leaf = torch.tensor(x, requires_grad=True)
        expected = theirs(leaf, torch.from_numpy(labels))
        actual, cache = loss.forward(x, labels)
        assert actual == pytest.approx(expected.item(), rel=1e-12, abs=1e-12)
        (gradient,) = torch.autograd.grad(expected, leaf)
        np.testing.assert_allclose(loss.backward(cache), gradient, rtol=1e-9, atol=1e-12)


def _hinge(x: Tensor, labels: Tensor) -> Tensor:
    """torch takes the mean over classes where the lecture takes the sum."""
    return F.multi_margin_loss(x, labels) * x.shape[1]


@quick
@given(SEEDS, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_losses_of_regressions(seed: int, shape: list[int]) -> None:
    x, target = normal(seed, *shape), normal(seed + 1, *shape)
    pairs: list[tuple[Any, Any, Any]] = [
        (losses.l1_forward, losses.l1_backward, F.l1_loss), (losses.l2_forward, losses.l2_backward, F.mse_loss)
    ]  # fmt: skip
    for forward, backward, theirs in pairs:
        leaf = torch.tensor(x, requires_grad=True)
        expected = theirs(leaf, torch.from_numpy(target))
        actual, cache = forward(x, target)
        assert actual == pytest.approx(expected.item(), rel=1e-12)
        np.testing.assert_allclose(backward(cache), torch.autograd.grad(expected, leaf)[0], rtol=1e-12)


@quick
@given(SEEDS, st.integers(2, 5), st.integers(1, 4), st.lists(st.integers(1, 4), max_size=2))
def test_normalizations(seed: int, count: int, features: int, size: list[int]) -> None:
    x = 3 * normal(seed, count, features, *size) + 1
    gamma, beta = normal(seed + 1, features), normal(seed + 2, features)

    def batch(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, gamma, beta, training=True)

    compare(normalization.batch_norm_forward, normalization.batch_norm_backward, batch, x, gamma, beta)
    shape = (features, *size)

    def layer(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return F.layer_norm(x, shape, gamma, beta)

    values = x, normal(seed + 1, *shape), normal(seed + 2, *shape)
    compare(normalization.layer_norm_forward, normalization.layer_norm_backward, layer, *values)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 5)])
def test_running_statistics(shape: tuple[int, ...]) -> None:
    layer = layers.BatchNorm(3, np.float64)
    theirs = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[len(shape)](3).double()
    for seed in range(4):
        x = 2 * normal(seed, *shape) + seed
        y, _ = layer.forward(x)
        np.testing.assert_allclose(y, theirs(torch.from_numpy(x)).detach(), rtol=1e-10, atol=1e-12)
    state = theirs.state_dict()
    np.testing.assert_allclose(layer.mean, state["running_mean"].numpy(), rtol=1e-12)
    np.testing.assert_allclose(layer.variance, state["running_var"].numpy(), rtol=1e-12)
    x = normal(9, *shape)
    np.testing.assert_allclose(layer.predict(x), theirs.eval()(torch.from_numpy(x)).detach(), rtol=1e-10, atol=1e-12)


@quick
@given(SEEDS, st.sampled_from([1, 3, 5, 7]), st.integers(1, 8), st.lists(st.integers(1, 3), min_size=1, max_size=2))
def test_local_response_normalization(seed: int, window: int, channels: int, size: list[int]) -> None:
    constants = LRNConstants(window, alpha=0.02, beta=0.6, k=1.5)

    def theirs(x: Tensor) -> Tensor:  # torch divides alpha by the window
        return F.local_response_norm(x, window, constants.alpha * window, constants.beta, constants.k)

    x = 4 * normal(seed, 2, channels, *size)
    compare(partial(local_response_norm_forward, constants=constants), local_response_norm_backward, theirs, x)


def test_an_even_window_is_refused() -> None:
    with pytest.raises(ValueError, match="window of 4 channels has no center"):
        LRNConstants(window=4)


RULES: list[tuple[Rule, Callable[[list[Tensor]], torch.optim.Optimizer]]] = [
    (optimizers.GradientDescent(0.05), partial(torch.optim.SGD, lr=0.05)),
    (optimizers.Momentum(0.05, 0.8), partial(torch.optim.SGD, lr=0.05, momentum=0.8)),
    (optimizers.Nesterov(0.05, 0.8), partial(torch.optim.SGD, lr=0.05, momentum=0.8, nesterov=True)),
    (optimizers.Adagrad(0.05), partial(torch.optim.Adagrad, lr=0.05)),
    (optimizers.RMSProp(0.05), partial(torch.optim.RMSprop, lr=0.05)),
    (optimizers.AdaDelta(), torch.optim.Adadelta),
    (optimizers.Adam(0.05), partial(torch.optim.Adam, lr=0.05)),
]


@pytest.mark.parametrize(("rule", "theirs"), RULES, ids=[type(rule).__name__ for rule, _ in RULES])
def test_optimizers(rule: Rule, theirs: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
    parameters = {"w": normal(0, 3, 2), "b": normal(1, 2)}
    leaves = [torch.tensor(w, requires_grad=True) for w in parameters.values()]
    our_optimizer, their_optimizer = optimizers.Optimizer(rule), theirs(leaves)
    for step in range(30):
        gradients = {name: normal(step, *w.shape) + w for name, w in parameters.items()}
        for leaf, gradient in zip(leaves, gradients.values(), strict=True):
            leaf.grad = torch.from_numpy(gradient)
        their_optimizer.step()
        our_optimizer.step(parameters, gradients)
        for w, leaf in zip(parameters.values(), leaves, strict=True):
            np.testing.assert_allclose(w, leaf.detach(), rtol=1e-9, atol=1e-12)


def test_the_lecture_names_eight_optimizers() -> None:
    assert len(optimizers.RULES) == 8
    assert set(optimizers.RULES.values()) == {type(rule) for rule, _ in RULES}


def test_lenet5_end_to_end() -> None:
    network = ours.lenet5(Initialization(np.random.default_rng(0), np.float64))
    x, labels = normal(1, 3, 1, 28, 28), np.array([4, 0, 9])
    c1, b1, c3, b3, w5, b5, w6, b6, w7, b7 = [torch.tensor(w, requires_grad=True) for w in network.parameters.values()]
    maps = F.avg_pool2d(torch.tanh(F.conv2d(torch.from_numpy(x), c1, b1, padding=2)), 2)
    maps = F.avg_pool2d(torch.tanh(F.conv2d(maps, c3, b3)), 2)
    scores = torch.tanh(torch.tanh(maps.flatten(1) @ w5 + b5) @ w6 + b6) @ w7 + b7
    np.testing.assert_allclose(network.scores(x), scores.detach(), rtol=1e-9, atol=1e-11)
    expected = F.cross_entropy(scores, torch.from_numpy(labels))
    loss, gradients = network.gradients(x, labels)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    leaves = [c1, b1, c3, b3, w5, b5, w6, b6, w7, b7]
    for gradient, other in zip(gradients.values(), torch.autograd.grad(expected, leaves), strict=True):
        np.testing.assert_allclose(gradient, other, rtol=1e-8, atol=1e-11)
