"""The homework of `convolve scratch homework`: what each function of a file must return, and on which numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convolve.from_scratch import activations, affine, losses, normalization, pooling
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.convolution import conv2d_backward_naive, conv2d_forward_naive
from convolve.from_scratch.homework import TwoLayerNet
from convolve.from_scratch.layers import Initialization
from convolve.from_scratch.windows import Sliding, output_size

Arguments = tuple[Array | Labels | int, ...]


@dataclass(frozen=True)
class Function:
    """A function of a file: the names of what it returns, the ``reference``, the arguments of each ``case``, and the
    command that works such a case.
    """

    name: str
    outputs: tuple[str, ...]
    reference: Callable[..., Any]
    cases: tuple[Arguments, ...]
    command: str

    def expected(self, arguments: Arguments) -> list[Array]:
        """What it must return, one array for each output."""
        returned = self.reference(*arguments)
        values = returned if len(self.outputs) > 1 else [returned]
        return [np.asarray(value, np.float64) for value in values]


_MASK_IMAGE = np.array(
    [[[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]], np.float64
)
_MASK = np.array([[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]]], np.float64)


def _draw(*shape: int) -> Array:
    """Numbers with two decimals, always the same."""
    return np.round(np.random.default_rng(sum(shape)).standard_normal(shape), 2)


def _convolution() -> tuple[Function, ...]:
    x, w, b = _draw(2, 6, 7), _draw(3, 2, 3, 2), _draw(3)
    return (
        Function(
            "output_size", ("size",),
            lambda size, kernel, stride, padding: output_size(size, kernel, Sliding(stride, padding)),
            ((28, 5, 3, 2), (7, 3, 3, 0), (4, 3, 1, 1)), "--example size",
        ),
        Function(
            "conv2d_forward", ("y",),
            lambda x, w, b, stride, padding: conv2d_forward_naive(x, w, b, Sliding(stride, padding)),
            ((_MASK_IMAGE, _MASK, np.zeros(1), 1, 0), (x, w, b, 1, 0), (x, w, b, 2, 1)), "--example mask",
        ),
        Function(
            "conv2d_backward", ("dx", "dw", "db"),
            lambda dy, x, w, stride, padding: conv2d_backward_naive(dy, x, w, Sliding(stride, padding)),
            (
                (np.arange(1, 10.0).reshape(1, 3, 3), _MASK_IMAGE, _MASK, 1, 0),
                (_draw(3, 4, 6), x, w, 1, 0),
                (_draw(3, 3, 4), x, w, 2, 1),
            ),
            "--example convolution-backward",
        ),
    )  # fmt: skip


def _pooling() -> tuple[Function, ...]:
    x = np.array([[[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]], np.float64)
    dy, larger = np.array([[[10, 20], [30, 40]]], np.float64), _draw(2, 7, 5)
    forward = (x, 2, 2), (larger, 3, 2)
    backward = (dy, x, 2, 2), (_draw(2, 3, 2), larger, 3, 2)

    def max_backward(dy: Array, x: Array, size: int, stride: int) -> Array:
        dx: Array = pooling.extreme_pool_backward(dy[None], pooling.max_pool_forward(x[None], size, stride)[1])[0]
        return dx

    def average_backward(dy: Array, x: Array, size: int, stride: int) -> Array:
        dx: Array = pooling.average_pool_backward(dy[None], pooling.average_pool_forward(x[None], size, stride)[1])[0]
        return dx

    return (
        Function(
            "max_pool_forward", ("y",), lambda x, size, stride: pooling.max_pool_forward(x[None], size, stride)[0][0],
            forward, "--example max-pool",
        ),
        Function("max_pool_backward", ("dx",), max_backward, backward, "--example max-pool"),
        Function(
            "average_pool_forward", ("y",),
            lambda x, size, stride: pooling.average_pool_forward(x[None], size, stride)[0][0],
            forward, "--example average-pool",
        ),
        Function("average_pool_backward", ("dx",), average_backward, backward, "--example average-pool"),
    )  # fmt: skip


def _affine() -> tuple[Function, ...]:
    x, w = np.array([[1, 2], [3, 4.0]]), np.array([[1, 0, -1], [2, 1, 3.0]])
    b, dy = np.array([10, 20, 30.0]), np.array([[1, 0, 0], [0, 1, 2.0]])
    values = np.array([[-2, -1, 0, 1, 2.0]])
    return (
        Function(
            "affine_forward", ("y",), lambda x, w, b: affine.affine_forward(x, w, b)[0],
            ((x, w, b),), "--example affine",
        ),
        Function(
            "affine_backward", ("dx", "dw", "db"), lambda dy, x, w: affine.affine_backward(dy, (x, w)),
            ((dy, x, w), (_draw(4, 2), _draw(4, 3), _draw(3, 2))), "--example affine",
        ),
        Function(
            "sigmoid_forward", ("y",), lambda x: activations.sigmoid_forward(x)[0], ((values,),), "--example sigmoid",
        ),
        Function(
            "sigmoid_backward", ("dx",), activations.sigmoid_backward,
            ((values, abs(values) / 3),), "--example sigmoid",
        ),
        Function("relu_forward", ("y",), lambda x: activations.relu_forward(x)[0], ((values,),), "--example relu"),
        Function(
            "relu_backward", ("dx",), lambda dy, x: activations.relu_backward(dy, activations.relu_forward(x)[1]),
            ((np.full((1, 5), 5.0), values),), "--example relu",
        ),
    )  # fmt: skip


def _softmax() -> tuple[Function, ...]:
    x, labels = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]]), np.array([0, 1, 2])
    cases = (x, labels), (_draw(5, 4), np.array([3, 0, 2, 2, 1]))

    def backward(x: Array, labels: Labels) -> Array:
        return losses.cross_entropy_backward(losses.cross_entropy_forward(x, labels)[1])

    return (
        Function(
            "softmax", ("p",), lambda x: losses.softmax_forward(x)[0],
            ((x,), (np.array([[1000, 1001, 990.0], [-1000, -1001, -1002]]),)), "--example softmax",
        ),
        Function(
            "cross_entropy", ("loss",), lambda x, labels: losses.cross_entropy_forward(x, labels)[0], cases,
            "--example softmax",
        ),
        Function("cross_entropy_backward", ("dx",), backward, cases, "--example softmax"),
    )  # fmt: skip


def _batch_normalization() -> tuple[Function, ...]:
    x, gamma, beta = np.array([[1, 10], [2, 20], [3, 60], [6, 30.0]]), np.array([1, 2.0]), np.array([0, 1.0])
    dy = np.array([[1, 0], [0, 1], [0, 0], [1, -1.0]])

    def backward(dy: Array, x: Array, gamma: Array) -> tuple[Array, ...]:
        return normalization.batch_norm_backward(
            dy, normalization.batch_norm_forward(x, gamma, np.zeros(len(gamma)))[1]
        )

    return (
        Function(
            "batchnorm_forward", ("y",), lambda x, gamma, beta: normalization.batch_norm_forward(x, gamma, beta)[0],
            ((x, gamma, beta), (_draw(5, 3), _draw(3), _draw(3))), "--example batchnorm",
        ),
        Function(
            "batchnorm_backward", ("dx", "dgamma", "dbeta"), backward,
            ((dy, x, gamma), (_draw(5, 3), _draw(5, 3) ** 2, _draw(3))), "--example batchnorm-graph",
        ),
    )  # fmt: skip


def _two_layer() -> tuple[Function, ...]:
    x, t = _draw(4, 3), np.eye(3)[[2, 0, 1, 1]]
    parameters = _draw(3, 5), _draw(5), _draw(5, 3), _draw(3)

    def forward(x: Array, *parameters: Array) -> tuple[Array, Array]:
        hidden = activations.sigmoid_forward(x @ parameters[0] + parameters[1])[0]
        return hidden, losses.softmax_forward(hidden @ parameters[2] + parameters[3])[0]

    def gradients(x: Array, t: Array, *parameters: Array) -> tuple[Array, ...]:
        net = TwoLayerNet(Initialization(np.random.default_rng(0), np.float64), 3, 5, 3)
        net.parameters = dict(zip(net.parameters, parameters, strict=True))
        return tuple(net.gradients(x, t.argmax(1))[1].values())

    return (
        Function("forward", ("z1", "y"), forward, ((x, *parameters),), "--example sigmoid"),
        Function("gradients", ("dw1", "db1", "dw2", "db2"), gradients, ((x, t, *parameters),), "--example affine"),
    )


EXERCISES: Mapping[str, Callable[[], tuple[Function, ...]]] = {
    "conv": _convolution,
    "pool": _pooling,
    "affine": _affine,
    "softmax": _softmax,
    "batchnorm": _batch_normalization,
    "two-layer": _two_layer,
}
"""The functions of each file, by the name of the exercise."""
