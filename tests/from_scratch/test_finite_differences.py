"""Every backward rule against finite differences in float64."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convolve.from_scratch import activations, affine, convolution, dropout, losses, normalization, pooling
from convolve.from_scratch.activations import Activation
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.gradient_check import numerical_gradient
from convolve.from_scratch.losses import HINGE, SOFTMAX, Loss
from convolve.from_scratch.windows import Sliding
from tests.from_scratch.gradients import Backward, Forward, check, distinct

SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=15)


@quick
@given(SEEDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 4))
def test_affine(seed: int, count: int, inputs: int, outputs: int) -> None:
    check(
        affine.affine_forward,
        affine.affine_backward,
        distinct(seed, count, inputs),
        distinct(1, inputs, outputs),
        distinct(2, outputs),
    )


def test_flatten() -> None:
    check(affine.flatten_forward, affine.flatten_backward, distinct(0, 2, 3, 2, 2))


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Array, Array, Sliding]:
    rank, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sliding = Sliding(draw(st.integers(1, 3)), draw(st.integers(0, 2)), draw(st.integers(1, 2)))
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    reach = [sliding.dilation * (side - 1) + 1 for side in kernel]
    size = [max(side - 2 * sliding.padding, 1) + draw(st.integers(0, 3)) for side in reach]
    channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    seed = draw(SEEDS)
    x = distinct(seed, draw(st.integers(1, 2)), groups * channels, *size)
    return x, distinct(seed + 1, groups * filters, channels, *kernel), sliding


@quick
@given(convolutions())
def test_convolution(case: tuple[Array, Array, Sliding]) -> None:
    x, w, sliding = case
    forward = partial(convolution.convolution_forward, sliding=sliding)
    check(forward, convolution.convolution_backward, x, w, distinct(3, len(w)))


POOLS: dict[str, tuple[Forward, Backward]] = {
    "max": (pooling.max_pool_forward, pooling.extreme_pool_backward),
    "min": (pooling.min_pool_forward, pooling.extreme_pool_backward),
    "average": (pooling.average_pool_forward, pooling.average_pool_backward),
}


@pytest.mark.parametrize("kind", POOLS)
@quick
@given(SEEDS, st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(3, 6), min_size=1, max_size=2))
def test_pooling(kind: str, seed: int, size: int, stride: int, sides: list[int]) -> None:
    forward, backward = POOLS[kind]
    check(partial(forward, size=size, stride=stride), backward, distinct(seed, 2, 1, *sides))


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
@quick
@given(SEEDS)
def test_activations(name: Activation, seed: int) -> None:
    check(*activations.ACTIVATIONS[name], 2 * distinct(seed, 3, 4))


@quick
@given(SEEDS, st.integers(2, 4))
def test_maxout(seed: int, pieces: int) -> None:
    x, w, b = distinct(seed, 3, 4), distinct(seed + 1, pieces, 4, 2), distinct(seed + 2, pieces, 2)
    assume(np.diff(np.sort(x @ w + b[:, None], axis=0), axis=0).min() > 1e-3)  # no two pieces nearly equal
    check(activations.maxout_forward, activations.maxout_backward, x, w, b)


def test_softmax() -> None:
    check(losses.softmax_forward, losses.softmax_backward, distinct(0, 3, 5))


@pytest.mark.parametrize("loss", [SOFTMAX, HINGE], ids=["softmax", "hinge"])
@quick
@given(SEEDS)
def test_losses_of_classifiers(loss: Loss, seed: int) -> None:
    x, labels = distinct(seed, 4, 3), np.random.default_rng(seed).integers(3, size=4)
    assume(np.abs(x - x[np.arange(4), labels][:, None] + 1).min() > 1e-3)  # the hinge's kink
    actual = loss.backward(loss.forward(x, labels)[1])
    expected = numerical_gradient(lambda: loss.forward(x, labels)[0], x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("forward", "backward"), [(losses.l1_forward, losses.l1_backward), (losses.l2_forward, losses.l2_backward)]
)
def test_losses_of_regressions(forward: Any, backward: Any) -> None:
    x, target = distinct(0, 3, 2), distinct(1, 3, 2) + 0.11
    expected = numerical_gradient(lambda: float(forward(x, target)[0]), x)
    np.testing.assert_allclose(backward(forward(x, target)[1]), expected, rtol=1e-6, atol=1e-8)


def test_dropout() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        return dropout.dropout_forward(x, 0.4, np.random.default_rng(5))

    check(forward, dropout.dropout_backward, distinct(0, 5, 6))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 2, 3)])
@quick
@given(SEEDS)
def test_normalizations(shape: tuple[int, ...], seed: int) -> None:
    x = distinct(seed, *shape)
    check(normalization.batch_norm_forward, normalization.batch_norm_backward, x, distinct(1, 3), distinct(2, 3))
    gamma, beta = distinct(3, *shape[1:]), distinct(4, *shape[1:])
    check(normalization.layer_norm_forward, normalization.layer_norm_backward, x, gamma, beta)


@quick
@given(SEEDS, st.sampled_from([1, 3, 5]), st.integers(1, 6))
def test_local_response_normalization(seed: int, window: int, channels: int) -> None:
    forward = partial(
        normalization.local_response_norm_forward, constants=normalization.LRNConstants(window, alpha=0.3)
    )
    check(forward, normalization.local_response_norm_backward, distinct(seed, 2, channels, 2))


def test_finite_differences_refuse_single_precision() -> None:
    with pytest.raises(ValueError, match="float64, not float32"):
        numerical_gradient(lambda: 0.0, np.zeros(2, np.float32))
