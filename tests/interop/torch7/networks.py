"""Networks of Torch7 as its layers write themselves, each with the shape of its input; needs NumPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.interop.torch7.lua import Lua, Storage

_RANDOM = np.random.default_rng(7)


def numbers(*shape: int) -> Any:
    """Random weights."""
    return _RANDOM.normal(0, 0.5, shape).astype(np.float32)


def sequence(*modules: Lua) -> Lua:
    """`nn.Sequential`."""
    return Lua("nn.Sequential", {"modules": [*modules], "train": False})


def convolution(before: int, out: int, kernel: tuple[int, int], **options: Any) -> Lua:
    """`nn.SpatialConvolution`; ``kernel`` is (height, width)."""
    fields = {
        "nInputPlane": before, "nOutputPlane": out, "kH": kernel[0], "kW": kernel[1], "dH": 1, "dW": 1, "padH": 0,
        "padW": 0, "weight": numbers(out, before, *kernel), "bias": numbers(out),
    }  # fmt: skip
    return Lua("nn.SpatialConvolution", fields | options)


def matrix_convolution(before: int, out: int, kernel: tuple[int, int], **options: Any) -> Lua:
    """`nn.SpatialConvolutionMM`, whose weight is a matrix."""
    layer = convolution(before, out, kernel, **options)
    return Lua("nn.SpatialConvolutionMM", layer.fields | {"weight": layer.fields["weight"].reshape(out, -1)})


def full_convolution(before: int, out: int, kernel: tuple[int, int], **options: Any) -> Lua:
    """`nn.SpatialFullConvolution`."""
    layer = convolution(before, out, kernel, **({"adjH": 0, "adjW": 0} | options))
    return Lua("nn.SpatialFullConvolution", layer.fields | {"weight": numbers(before, out, *kernel)})


def pool(kind: str, kernel: int, stride: int, **options: Any) -> Lua:
    """`nn.SpatialMaxPooling` or `nn.SpatialAveragePooling`."""
    fields = {"kH": kernel, "kW": kernel, "dH": stride, "dW": stride, "padH": 0, "padW": 0, "ceil_mode": False}
    return Lua(f"nn.Spatial{kind}Pooling", fields | options)


def batch_norm(channels: int, **options: Any) -> Lua:
    """`nn.SpatialBatchNormalization`."""
    fields = {
        "eps": 1e-3, "momentum": 0.1, "affine": True, "running_mean": numbers(channels), "weight": numbers(channels),
        "running_var": np.abs(numbers(channels)) + 0.5, "bias": numbers(channels), "nDim": 4,
    }  # fmt: skip
    return Lua("nn.SpatialBatchNormalization", fields | options)


def linear(before: int, out: int) -> Lua:
    """`nn.Linear`."""
    return Lua("nn.Linear", {"weight": numbers(out, before), "bias": numbers(out)})


def view(*sizes: int, **options: Any) -> Lua:
    """`nn.View`."""
    count = int(np.prod([size for size in sizes if size > 0]))
    return Lua("nn.View", {"size": Storage(np.array(sizes, np.int64)), "numElements": count} | options)


def table(kind: str, *modules: Lua, **options: Any) -> Lua:
    """A container, or a layer that takes a table."""
    return Lua(f"nn.{kind}", ({"modules": [*modules]} if modules else {}) | options)


def plain(kind: str, **options: Any) -> Lua:
    """A layer without weights."""
    return Lua(f"nn.{kind}", options)


def classifier() -> Lua:
    """Convolutions, pools and linear layers."""
    return sequence(
        convolution(1, 4, (5, 3), padH=2, padW=1),
        plain("ReLU", inplace=False, threshold=0, val=0),
        pool("Max", 2, 2),
        matrix_convolution(4, 6, (3, 3), dH=2, dW=2),
        batch_norm(6),
        plain("Tanh"),
        view(6 * 6 * 6),
        plain("Dropout", p=0.5, v2=True),
        linear(216, 5),
        plain("LogSoftMax"),
    )


def branches() -> Lua:
    """Tables, joins and sums."""
    inception = table(
        "DepthConcat",
        sequence(convolution(4, 3, (1, 1)), plain("ReLU", inplace=True, threshold=0, val=0)),
        convolution(4, 2, (3, 3)),
        convolution(4, 2, (4, 4)),
        dimension=2,
    )
    residual = sequence(
        table("ConcatTable", convolution(7, 7, (3, 3), padH=1, padW=1), plain("Identity")),
        plain("CAddTable", inplace=False),
    )
    return sequence(
        convolution(3, 4, (3, 3)), inception, residual,
        table("Concat", pool("Max", 3, 2), pool("Average", 3, 2), dimension=2), plain("Sigmoid"),
    )  # fmt: skip


def maps() -> Lua:
    """Padding, responses normalized across channels, transposed convolutions, rectangles."""
    return sequence(
        plain("SpatialZeroPadding", pad_l=2, pad_r=1, pad_t=0, pad_b=3),
        convolution(2, 6, (2, 3), dH=1, dW=2, bias=None),
        plain("SpatialCrossMapLRN", size=3, alpha=0.5, beta=0.75, k=2),
        full_convolution(6, 3, (4, 4), dH=2, dW=2, padH=1, padW=1, adjH=1, adjW=0),
        batch_norm(3, weight=None, bias=None, affine=False),
        pool("Max", 3, 2, ceil_mode=True),
        pool("Average", 3, 2, padH=1, padW=1, count_include_pad=True),
    )


NETWORKS = {
    "classifier": ((1, 28, 28), classifier()),
    "branches": ((3, 16, 15), branches()),
    "maps": ((2, 11, 9), maps()),
}
