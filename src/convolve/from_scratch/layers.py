"""Layers for `networks.Network`: a pair of functions together with their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, final

import numpy as np

from convolve.from_scratch import activations, affine, convolution, dropout, normalization, pooling
from convolve.from_scratch.arrays import Array, DType
from convolve.from_scratch.initializers import Initializer, he
from convolve.from_scratch.windows import Sliding

Gradients = Mapping[str, Array]


class Layer(Protocol):
    """A layer of a network. Only its own `backward` reads the cache that `forward` returns."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """The learned arrays by name; optimizers update them in place."""
        ...

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The output in training, and the cache for `backward`."""
        ...

    def backward(self, dy: Array, cache: Any) -> tuple[Array, Gradients]:
        """The gradient with respect to x, and to each parameter by name."""
        ...

    def predict(self, x: Array) -> Array:
        """The output at inference, which is deterministic."""
        ...


@final
class FixedLayer:
    """A layer without parameters, from its pair of functions."""

    def __init__(self, forward: Callable[[Array], tuple[Array, Any]], backward: Callable[[Array, Any], Array]) -> None:
        self.parameters: dict[str, Array] = {}
        self._forward, self._backward = forward, backward

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The forward function of x."""
        return self._forward(x)

    def backward(self, dy: Array, cache: Any) -> tuple[Array, Gradients]:
        """The gradient with respect to x, and no others."""
        return self._backward(dy, cache), {}

    def predict(self, x: Array) -> Array:
        """The same output as in training."""
        return self._forward(x)[0]


@final
class LearnedLayer:
    """A layer with parameters, from its pair of functions, which take them after x in the order given."""

    def __init__(
        self,
        forward: Callable[..., tuple[Array, Any]],
        backward: Callable[[Array, Any], tuple[Array, ...]],
        parameters: dict[str, Array],
    ) -> None:
        self.parameters = parameters
        self._forward, self._backward = forward, backward

    def forward(self, x: Array) -> tuple[Array, Any]:
        """The forward function of x and the parameters."""
        return self._forward(x, *self.parameters.values())

    def backward(self, dy: Array, cache: Any) -> tuple[Array, Gradients]:
        """The gradients, those of the parameters by name."""
        dx, *gradients = self._backward(dy, cache)
        return dx, dict(zip(self.parameters, gradients, strict=True))

    def predict(self, x: Array) -> Array:
        """The same output as in training."""
        return self.forward(x)[0]


@final
class Dropout:
    """Zeroes values with a ``probability`` in training, drawn from ``random``; the identity at inference."""

    def __init__(self, probability: float, random: np.random.Generator) -> None:
        self.parameters: dict[str, Array] = {}
        self.probability, self.random = probability, random

    def forward(self, x: Array) -> tuple[Array, Array]:
        """``x`` with a new random mask each time."""
        return dropout.dropout_forward(x, self.probability, self.random)

    def backward(self, dy: Array, cache: Array) -> tuple[Array, Gradients]:
        """Only the surviving values get a gradient."""
        return dropout.dropout_backward(dy, cache), {}

    def predict(self, x: Array) -> Array:
        """``x`` unchanged."""
        return x


@final
class BatchNorm:
    """Batch normalization of (N, features, …) with running statistics, collected in training and used at inference.

    ``mean`` and ``variance`` (features,) move toward each batch's by the fraction ``momentum`` (the variance with m - 1
    in the denominator, as in the paper's algorithm 2 and in torch).
    """

    def __init__(self, features: int, dtype: DType, momentum: float = 0.1) -> None:
        self.parameters: dict[str, Array] = {
            "gamma": np.ones(features, dtype),
            "beta": np.zeros(features, dtype),
        }
        self.mean: Array = np.zeros(features, dtype)
        self.variance: Array = np.ones(features, dtype)
        self.momentum = momentum

    def forward(self, x: Array) -> tuple[Array, normalization.NormalizationCache]:
        """Normalized by the batch's statistics, which also update the running ones."""
        y, cache = normalization.batch_norm_forward(x, self.parameters["gamma"], self.parameters["beta"])
        values = x.size // len(self.mean)
        self.mean += self.momentum * (cache.mean.ravel() - self.mean)
        self.variance += self.momentum * (cache.variance.ravel() * (values / max(values - 1, 1)) - self.variance)
        return y, cache

    def backward(self, dy: Array, cache: normalization.NormalizationCache) -> tuple[Array, Gradients]:
        """The gradients, including those through the batch's statistics."""
        dx, dgamma, dbeta = normalization.batch_norm_backward(dy, cache)
        return dx, {"gamma": dgamma, "beta": dbeta}

    def predict(self, x: Array) -> Array:
        """Normalized by the running statistics: independent of the other examples."""
        scale = self.parameters["gamma"] / np.sqrt(self.variance + normalization.EPSILON)
        shift = self.parameters["beta"] - scale * self.mean
        return normalization.per_feature(scale, x) * x + normalization.per_feature(shift, x)


@dataclass(frozen=True)
class Initialization:
    """How layers get their initial parameters: random weights, and biases of 0."""

    random: np.random.Generator
    dtype: DType = np.float32
    initializer: Initializer = he

    def weights(self, *shape: int) -> Array:
        """Random weights of a shape."""
        return self.initializer(self.random, shape, self.dtype)

    def zeros(self, *shape: int) -> Array:
        """Zeros of a shape, for biases."""
        return np.zeros(shape, self.dtype)


def affine_layer(init: Initialization, inputs: int, outputs: int) -> LearnedLayer:
    """(N, inputs) to (N, outputs)."""
    parameters = {"w": init.weights(inputs, outputs), "b": init.zeros(outputs)}
    return LearnedLayer(affine.affine_forward, affine.affine_backward, parameters)


def convolution_layer(
    init: Initialization,
    channels: int,
    filters: int,
    kernel: Sequence[int],
    sliding: Sliding = convolution.UNIT,
    groups: int = 1,
) -> LearnedLayer:
    """(N, channels, *size) to (N, filters, *output); ``kernel`` has one side per dimension; ``groups`` divides
    channels and filters.
    """
    parameters = {"w": init.weights(filters, channels // groups, *kernel), "b": init.zeros(filters)}
    forward = partial(convolution.convolution_forward, sliding=sliding)
    return LearnedLayer(forward, convolution.convolution_backward, parameters)


def maxout_layer(init: Initialization, inputs: int, outputs: int, pieces: int) -> LearnedLayer:
    """(N, inputs) to (N, outputs), each the largest of ``pieces`` affine functions."""
    weights = np.stack([init.weights(inputs, outputs) for _ in range(pieces)])
    parameters = {"w": weights, "b": init.zeros(pieces, outputs)}
    return LearnedLayer(activations.maxout_forward, activations.maxout_backward, parameters)


def layer_norm_layer(features: Sequence[int], dtype: DType) -> LearnedLayer:
    """(N, *features) to the same."""
    parameters: dict[str, Array] = {"gamma": np.ones(features, dtype), "beta": np.zeros(features, dtype)}
    return LearnedLayer(normalization.layer_norm_forward, normalization.layer_norm_backward, parameters)


def max_pool_layer(size: int, stride: int) -> FixedLayer:
    """(N, C, *size) to (N, C, *output)."""
    return FixedLayer(partial(pooling.max_pool_forward, size=size, stride=stride), pooling.extreme_pool_backward)


def min_pool_layer(size: int, stride: int) -> FixedLayer:
    """(N, C, *size) to (N, C, *output)."""
    return FixedLayer(partial(pooling.min_pool_forward, size=size, stride=stride), pooling.extreme_pool_backward)


def average_pool_layer(size: int, stride: int) -> FixedLayer:
    """(N, C, *size) to (N, C, *output)."""
    return FixedLayer(partial(pooling.average_pool_forward, size=size, stride=stride), pooling.average_pool_backward)


def local_response_norm_layer(constants: normalization.LRNConstants = normalization.ALEXNET) -> FixedLayer:
    """(N, C, …) to the same: local response normalization."""
    forward = partial(normalization.local_response_norm_forward, constants=constants)
    return FixedLayer(forward, normalization.local_response_norm_backward)


def flatten_layer() -> FixedLayer:
    """(N, …) to (N, everything else)."""
    return FixedLayer(affine.flatten_forward, affine.flatten_backward)


def activation_layer(name: activations.Activation) -> FixedLayer:
    """Any shape to the same."""
    return FixedLayer(*activations.ACTIVATIONS[name])
