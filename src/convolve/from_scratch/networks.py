"""Networks: layers one after the other with a loss, run forward and backward; and those of the lectures.

Slides "Back propagation": differentiate, multiply, add, backward from the loss, each layer passing its gradient on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, final

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.layers import (
    Dropout,
    Initialization,
    Layer,
    activation_layer,
    affine_layer,
    average_pool_layer,
    convolution_layer,
    flatten_layer,
    max_pool_layer,
)
from convolve.from_scratch.losses import SOFTMAX, Loss
from convolve.from_scratch.windows import Sliding


class Model(Protocol):
    """What `training` trains and `gradient_check` checks: a `Network`, a net of the homework, a linear classifier."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """The learned arrays by name; optimizers update them in place."""
        ...

    def scores(self, x: Array) -> Array:
        """``x`` (N, …) to scores (N, classes); the class with the highest is predicted."""
        ...

    def gradients(self, x: Array, labels: Labels) -> tuple[float, Mapping[str, Array]]:
        """The mean loss of a batch, and its gradient for each parameter."""
        ...


@final
class Network:
    """Layers one after the other. Parameters are named by layer index, as in ``0.w``.

    Raises `TypeError` for images in another number format than the parameters': nothing is converted silently.
    """

    def __init__(self, layers: Sequence[Layer], loss: Loss = SOFTMAX) -> None:
        self.layers, self.loss = tuple(layers), loss

    @property
    def parameters(self) -> dict[str, Array]:
        """All parameters of all layers."""
        layers = enumerate(self.layers)
        return {f"{index}.{name}": w for index, layer in layers for name, w in layer.parameters.items()}

    def scores(self, x: Array) -> Array:
        """``x`` (N, …) to the last layer's output at inference."""
        self._check(x)
        for layer in self.layers:
            x = layer.predict(x)
        return x

    def gradients(self, x: Array, labels: Labels) -> tuple[float, dict[str, Array]]:
        """One forward pass in training mode, and one backward pass; gradients in the order of the parameters."""
        self._check(x)
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x)
            caches.append(cache)
        loss, cache = self.loss.forward(x, labels)
        dy, gradients = self.loss.backward(cache), {}
        for index in reversed(range(len(self.layers))):
            dy, layer_gradients = self.layers[index].backward(dy, caches.pop())
            gradients.update({f"{index}.{name}": dw for name, dw in layer_gradients.items()})
        return loss, {name: gradients[name] for name in self.parameters}

    def _check(self, x: Array) -> None:
        dtypes = {w.dtype for w in self.parameters.values()} or {x.dtype}
        if dtypes != {x.dtype}:
            names = ", ".join(sorted(str(np.dtype(dtype)) for dtype in dtypes))
            raise TypeError(f"The network computes in {names}, but the images are {x.dtype}; convert them with astype.")


VGG_STAGES = ((32, 32), (64, 64), (128, 128))
"""Widths of the 3x3 convolutions before each pooling, as in table 1 of the paper, but fewer and narrower."""


def simple_convnet(init: Initialization, filters: int = 30, hidden: int = 100, classes: int = 10) -> Network:
    """(N, 1, 28, 28): the smallest complete network, [CONV-RELU-POOL]-[FC-RELU]-FC-SOFTMAX; slide "전형적 구조"."""
    return Network(
        [
            convolution_layer(init, 1, filters, (5, 5)),  # 28 -> 24
            activation_layer("relu"),
            max_pool_layer(2, 2),  # 12
            flatten_layer(),
            affine_layer(init, filters * 12 * 12, hidden),
            activation_layer("relu"),
            affine_layer(init, hidden, classes),
        ]
    )


def lenet5(init: Initialization, classes: int = 10) -> Network:
    """(N, 1, 28, 28) to (N, classes), 61,706 parameters at 10: the slide's Keras listing "LeNet의 구조".

    LeCun et al. 1998, figure 2. Deviations, as in the listing: average pooling without trainable coefficients, C3
    connected to all of S2, softmax in place of the radial basis functions; plain tanh.
    """
    return Network(
        [
            convolution_layer(init, 1, 6, (5, 5), Sliding(padding=2)),  # C1: 28
            activation_layer("tanh"),
            average_pool_layer(2, 2),  # S2: 14
            convolution_layer(init, 6, 16, (5, 5)),  # C3: 10
            activation_layer("tanh"),
            average_pool_layer(2, 2),  # S4: 5
            flatten_layer(),
            affine_layer(init, 16 * 5 * 5, 120),  # C5
            activation_layer("tanh"),
            affine_layer(init, 120, 84),  # F6
            activation_layer("tanh"),
            affine_layer(init, 84, classes),
        ]
    )


def small_vgg(init: Initialization, channels: int = 1, side: int = 28, classes: int = 10) -> Network:
    """(N, channels, side, side): VGG's pattern for small images. ``side`` is at least 8.

    Simonyan & Zisserman 2015: 3x3 convolutions padded by 1, each with ReLU; 2x2 poolings; ReLU and dropout between
    the affine layers. Deviations: the three stages of `VGG_STAGES` instead of five, and one hidden layer of 256
    instead of two of 4096.
    """
    layers: list[Layer] = []
    for widths in VGG_STAGES:
        for width in widths:
            layers += [convolution_layer(init, channels, width, (3, 3), Sliding(padding=1)), activation_layer("relu")]
            channels = width
        layers.append(max_pool_layer(2, 2))
        side //= 2
    layers += [flatten_layer(), affine_layer(init, channels * side * side, 256), activation_layer("relu")]
    return Network([*layers, Dropout(0.5, init.random), affine_layer(init, 256, classes)])
