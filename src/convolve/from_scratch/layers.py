"""Layers for `network.Network`: a pair of functions tied together with the parameters that go into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, final

import numpy as np

from convolve.from_scratch import activations, affine, convolution, dropout, normalization, pooling, response
from convolve.from_scratch.arrays import Array, Precision
from convolve.from_scratch.initializers import Initializer, he
from convolve.from_scratch.windows import Sliding

Slopes = Mapping[str, Array]


class Layer(Protocol):
    """What a network is made of. The memory that `forward` gives is meant for `backward` and nothing else."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """What is learned, by name; optimizers change the arrays in place."""
        ...

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The output in training, and what `backward` needs."""
        ...

    def backward(self, dy: Array, memory: Any) -> tuple[Array, Slopes]:
        """The slope along x, and along every parameter by name."""
        ...

    def predict(self, x: Array) -> Array:
        """The output in use, where nothing is learned and nothing left to chance."""
        ...


@final
class Fixed:
    """A layer that learns nothing, from its pair of functions."""

    def __init__(self, forward: Callable[[Array], tuple[Array, Any]], backward: Callable[[Array, Any], Array]) -> None:
        self.parameters: dict[str, Array] = {}
        self._forward, self._backward = forward, backward

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The function itself."""
        return self._forward(x)

    def backward(self, dy: Array, memory: Any) -> tuple[Array, Slopes]:
        """The slope along x; there are no others."""
        return self._backward(dy, memory), {}

    def predict(self, x: Array) -> Array:
        """As in training."""
        return self._forward(x)[0]


@final
class Learned:
    """A layer with parameters, from its pair of functions; they follow x in the order given."""

    def __init__(
        self,
        forward: Callable[..., tuple[Array, Any]],
        backward: Callable[[Array, Any], tuple[Array, ...]],
        parameters: dict[str, Array],
    ) -> None:
        self.parameters = parameters
        self._forward, self._backward = forward, backward

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The function, of x and the parameters."""
        return self._forward(x, *self.parameters.values())

    def backward(self, dy: Array, memory: Any) -> tuple[Array, Slopes]:
        """The slopes, those of parameters under their names."""
        dx, *slopes = self._backward(dy, memory)
        return dx, dict(zip(self.parameters, slopes, strict=True))

    def predict(self, x: Array) -> Array:
        """As in training."""
        return self.forward(x)[0]


@final
class Dropout:
    """Drops a ``share`` of the values in training, drawn from ``random``; passes all of them on in use."""

    def __init__(self, share: float, random: np.random.Generator) -> None:
        self.parameters: dict[str, Array] = {}
        self.share, self.random = share, random

    def forward(self, x: Array) -> tuple[Array, Array]:
        """``x`` with other values missing each time."""
        return dropout.dropout_forward(x, self.share, self.random)

    def backward(self, dy: Array, memory: Array) -> tuple[Array, Slopes]:
        """Only what stayed gets a slope."""
        return dropout.dropout_backward(dy, memory), {}

    def predict(self, x: Array) -> Array:
        """``x`` as it is."""
        return x


@final
class BatchNorm:
    """Batch normalization of (N, features, …) that keeps running statistics in training and uses them afterwards.

    ``mean`` and ``variance`` (features,) move by ``pace`` toward each batch's (its variance taken over m - 1, as the
    paper's algorithm 2 and torch do).
    """

    def __init__(self, features: int, precision: Precision, pace: float = 0.1) -> None:
        self.parameters: dict[str, Array] = {
            "gamma": np.ones(features, precision),
            "beta": np.zeros(features, precision),
        }
        self.mean: Array = np.zeros(features, precision)
        self.variance: Array = np.ones(features, precision)
        self.pace = pace

    def forward(self, x: Array) -> tuple[Array, normalization.NormalizationMemory]:
        """Normalized by the batch's own statistics, which the running ones take note of."""
        y, memory = normalization.batch_norm_forward(x, self.parameters["gamma"], self.parameters["beta"])
        values = x.size // len(self.mean)
        self.mean += self.pace * (memory.mean.ravel() - self.mean)
        self.variance += self.pace * (memory.variance.ravel() * (values / max(values - 1, 1)) - self.variance)
        return y, memory

    def backward(self, dy: Array, memory: normalization.NormalizationMemory) -> tuple[Array, Slopes]:
        """Slopes through the batch's statistics too."""
        dx, dgamma, dbeta = normalization.batch_norm_backward(dy, memory)
        return dx, {"gamma": dgamma, "beta": dbeta}

    def predict(self, x: Array) -> Array:
        """Normalized by the running statistics: every example for itself."""
        scale = self.parameters["gamma"] / np.sqrt(self.variance + normalization.EPSILON)
        shift = self.parameters["beta"] - scale * self.mean
        return normalization.per_feature(scale, x) * x + normalization.per_feature(shift, x)


@dataclass(frozen=True)
class Draw:
    """How layers come by their first weights; biases start at 0."""

    random: np.random.Generator
    precision: Precision = np.float32
    initializer: Initializer = he

    def weights(self, *shape: int) -> Array:
        """Weights of a shape, drawn."""
        return self.initializer(self.random, shape, self.precision)

    def zeros(self, *shape: int) -> Array:
        """Biases of a shape."""
        return np.zeros(shape, self.precision)


def affine_layer(draw: Draw, inputs: int, outputs: int) -> Learned:
    """(N, inputs) to (N, outputs)."""
    parameters = {"w": draw.weights(inputs, outputs), "b": draw.zeros(outputs)}
    return Learned(affine.affine_forward, affine.affine_backward, parameters)


def convolution_layer(
    draw: Draw,
    channels: int,
    filters: int,
    kernel: Sequence[int],
    sliding: Sliding = convolution.ONE_BY_ONE,
    groups: int = 1,
) -> Learned:
    """(N, channels, *size) to (N, filters, *output); ``kernel`` has one side per dimension, ``groups`` divides both
    channels and filters.
    """
    parameters = {"w": draw.weights(filters, channels // groups, *kernel), "b": draw.zeros(filters)}
    forward = partial(convolution.convolution_forward, sliding=sliding)
    return Learned(forward, convolution.convolution_backward, parameters)


def maxout_layer(draw: Draw, inputs: int, outputs: int, pieces: int) -> Learned:
    """(N, inputs) to (N, outputs), the largest of some affine pieces each."""
    weights = np.stack([draw.weights(inputs, outputs) for _ in range(pieces)])
    parameters = {"w": weights, "b": draw.zeros(pieces, outputs)}
    return Learned(activations.maxout_forward, activations.maxout_backward, parameters)


def layer_norm_layer(features: Sequence[int], precision: Precision) -> Learned:
    """(N, *features) to the same."""
    parameters: dict[str, Array] = {"gamma": np.ones(features, precision), "beta": np.zeros(features, precision)}
    return Learned(normalization.layer_norm_forward, normalization.layer_norm_backward, parameters)


def max_pool_layer(size: int, stride: int) -> Fixed:
    """(N, C, *size) to (N, C, *output)."""
    return Fixed(partial(pooling.max_pool_forward, size=size, stride=stride), pooling.extreme_pool_backward)


def min_pool_layer(size: int, stride: int) -> Fixed:
    """(N, C, *size) to (N, C, *output)."""
    return Fixed(partial(pooling.min_pool_forward, size=size, stride=stride), pooling.extreme_pool_backward)


def average_pool_layer(size: int, stride: int) -> Fixed:
    """(N, C, *size) to (N, C, *output)."""
    return Fixed(partial(pooling.average_pool_forward, size=size, stride=stride), pooling.average_pool_backward)


def response_layer(constants: response.Response = response.ALEXNET) -> Fixed:
    """(N, C, …) to the same: local response normalization."""
    return Fixed(partial(response.response_forward, response=constants), response.response_backward)


def flatten_layer() -> Fixed:
    """(N, …) to (N, everything else)."""
    return Fixed(affine.flatten_forward, affine.flatten_backward)


def activation_layer(name: activations.Activation) -> Fixed:
    """Any shape to the same."""
    return Fixed(*activations.ACTIVATIONS[name])
