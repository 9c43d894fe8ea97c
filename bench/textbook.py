"""The baseline of `bench.scratch`: a convolutional network as the well-known from-scratch textbooks write it.

float64, NumPy's default; im2col filled by a loop over the kernel and transposed to one row per position of the window;
pooling by im2col too, with argmax along the rows; ReLU by masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer[Any]]


def _unroll(x: Array, side: int, stride: int) -> Array:
    """(N, C, H, W) to one row (C, side, side) per image and position."""
    count, channels, height, width = x.shape
    down, right = (height - side) // stride + 1, (width - side) // stride + 1
    columns = np.zeros((count, channels, side, side, down, right))
    for v in range(side):
        for h in range(side):
            columns[:, :, v, h] = x[:, :, v : v + stride * down : stride, h : h + stride * right : stride]
    return columns.transpose(0, 4, 5, 1, 2, 3).reshape(count * down * right, -1)


def _fold(rows: Array, shape: tuple[int, ...], side: int, stride: int) -> Array:
    """The adjoint of `_unroll`: each value is added where it came from."""
    count, channels, height, width = shape
    down, right = (height - side) // stride + 1, (width - side) // stride + 1
    columns = rows.reshape(count, down, right, channels, side, side).transpose(0, 3, 4, 5, 1, 2)
    x = np.zeros(shape)
    for v in range(side):
        for h in range(side):
            x[:, :, v : v + stride * down : stride, h : h + stride * right : stride] += columns[:, :, v, h]
    return x


class Convolution:
    """Any square kernel, stride 1."""

    def __init__(self, w: Array, b: Array) -> None:
        self.w, self.b = w, b

    def forward(self, x: Array) -> Array:
        """The output; stores what `backward` needs."""
        self.shape = x.shape
        self.rows = _unroll(x, self.w.shape[2], 1)
        side = x.shape[2] - self.w.shape[2] + 1
        y: Array = self.rows @ self.w.reshape(len(self.w), -1).T + self.b
        return y.reshape(len(x), side, side, -1).transpose(0, 3, 1, 2)

    def backward(self, dy: Array) -> Array:
        """The gradient of the input."""
        rows = dy.transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.db = rows.sum(0)
        self.dw = (self.rows.T @ rows).T.reshape(self.w.shape)
        return _fold(rows @ self.w.reshape(len(self.w), -1), self.shape, self.w.shape[2], 1)


class Pool:
    """2x2 max pooling, stride 2."""

    def forward(self, x: Array) -> Array:
        """The output; stores what `backward` needs."""
        self.shape = x.shape
        rows = _unroll(x, 2, 2).reshape(-1, 4)
        self.argmax = rows.argmax(1)
        count, channels, height, width = x.shape
        y: Array = rows.max(1).reshape(count, height // 2, width // 2, channels).transpose(0, 3, 1, 2)
        return y

    def backward(self, dy: Array) -> Array:
        """The gradient of the input."""
        dy = dy.transpose(0, 2, 3, 1)
        rows = np.zeros((dy.size, 4))
        rows[np.arange(dy.size), self.argmax] = dy.ravel()
        each = rows.reshape(dy.shape[0] * dy.shape[1] * dy.shape[2], -1)
        return _fold(each, self.shape, 2, 2)


class Relu:
    """ReLU by a mask."""

    def forward(self, x: Array) -> Array:
        """The output; stores what `backward` needs."""
        self.mask = x <= 0
        y = x.copy()
        y[self.mask] = 0
        return y

    def backward(self, dy: Array) -> Array:
        """The gradient of the input."""
        dy[self.mask] = 0
        return dy


class Affine:
    """An affine layer that flattens its input."""

    def __init__(self, w: Array, b: Array) -> None:
        self.w, self.b = w, b

    def forward(self, x: Array) -> Array:
        """The output; stores what `backward` needs."""
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        y: Array = self.x @ self.w + self.b
        return y

    def backward(self, dy: Array) -> Array:
        """The gradient of the input."""
        self.dw, self.db = self.x.T @ dy, dy.sum(0)
        dx: Array = dy @ self.w.T
        return dx.reshape(self.shape)


class Network:
    """conv - ReLU - pool - affine - ReLU - affine - softmax, from the weights of the four learned layers."""

    def __init__(self, weights: list[Array]) -> None:
        w1, b1, w2, b2, w3, b3 = weights
        self.learned = (Convolution(w1, b1), Affine(w2, b2), Affine(w3, b3))
        first, second, third = self.learned
        self.layers = (first, Relu(), Pool(), second, Relu(), third)

    def gradients(self, x: Array, labels: Labels) -> tuple[float, list[Array]]:
        """The loss, and the gradients in the order of the weights."""
        for layer in self.layers:
            x = layer.forward(x)
        powers = np.exp(x - x.max(1, keepdims=True))
        y = powers / powers.sum(1, keepdims=True)
        rows = np.arange(len(y))
        loss = float(-np.log(y[rows, labels] + 1e-7).mean())
        dy = y.copy()
        dy[rows, labels] -= 1
        dy /= len(y)
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return loss, [gradient for layer in self.learned for gradient in (layer.dw, layer.db)]
