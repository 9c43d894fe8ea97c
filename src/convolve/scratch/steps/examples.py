"""The lectures' worked examples by name, as the options that a person would type; `/` ends a row, `|` a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """What it shows, the slide that it stands on, and the options of `convolve scratch` that ask for it."""

    title: str
    slide: str
    options: Mapping[str, str | int | bool]


_KERNEL = "2 0 1 / 0 1 2 / 1 0 2"
_POOLED = "1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4"
_RED = "0 0 0 / 0 156 155 / 0 153 154"
_GREEN = "0 0 0 / 0 167 166 / 0 164 165"
_BLUE = "0 0 0 / 0 163 162 / 0 160 161"
_KERNELS = "-1 -1 1 / 0 1 -1 / 0 1 1 | 1 0 0 / 1 -1 -1 / 1 0 -1 | 0 1 1 / 0 1 0 / 1 -1 1"

EXAMPLES: Mapping[str, Example] = {
    "mask": Example(
        "a 3x3 mask over a 5x5 image starts with 4 3 4",
        "CNN 2D convolution operation",
        {
            "operation": "conv2d",
            "input": "1 1 1 0 0 / 0 1 1 1 0 / 0 0 1 1 1 / 0 0 1 1 0 / 0 1 1 0 0",
            "kernel": "1 0 1 / 0 1 0 / 1 0 1",
        },
    ),
    "padding": Example(
        "4x4 with padding 1 stays 4x4, and starts with 7 12 10 2",
        "Size of feature maps (특징맵의 크기변화)",
        {"operation": "conv2d", "input": "1 2 3 0 / 0 1 2 3 / 3 0 1 2 / 2 3 0 1", "kernel": _KERNEL, "padding": 1},
    ),
    "stride": Example(
        "7x7 with stride 2 becomes 3x3 and starts with 15 17",
        "Size of feature maps (특징맵의 크기변화)",
        {
            "operation": "conv2d",
            "input": "1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1 / 2 3 0 1 2 3 0 / 1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 "
            "/ 3 0 1 2 3 0 1",
            "kernel": _KERNEL,
            "stride": 2,
        },
    ),
    "channels": Example(
        "three channels and a bias: 308 - 498 + 164 + 1 = -25",
        "Convolution: multi-channel",
        {"operation": "conv2d", "input": f"{_RED} | {_GREEN} | {_BLUE}", "kernel": _KERNELS, "bias": "1"},
    ),
    "edges": Example(
        "the vertical-edge filter answers 0 300 300 0",
        "Convolution extracts features (특징을 추출할 수 있다)",
        {
            "operation": "conv2d",
            "input": " / ".join(["0 0 0 100 100 100"] * 5),
            "kernel": "-1 0 1 / -1 0 1 / -1 0 1",
        },
    ),
    "sequence": Example(
        "a 1D convolution and its slopes: ∂L/∂w[i] = Σ δ[j] x[i+j-1]",
        "CNN 1D backpropagation; numbers chosen here",
        {"operation": "conv1d", "input": "1 2 4 7 11", "kernel": "3 5 13", "delta": "1 10 100", "backward": True},
    ),
    "max-pool": Example(
        "2x2 max pooling: 6 8 / 3 4; backward the greatest gets all of δ",
        "Pooling layer",
        {"operation": "pool", "input": _POOLED, "kind": "max", "size": 2, "delta": "10 20 / 30 40", "backward": True},
    ),
    "average-pool": Example(
        "2x2 average pooling: 3.25 5.25 / 2 2; backward each gets δ/m",
        "Pooling layer, Average Pooling",
        {
            "operation": "pool",
            "input": _POOLED,
            "kind": "average",
            "size": 2,
            "delta": "10 20 / 30 40",
            "backward": True,
        },
    ),
    "overlap": Example(
        "3x3 max pooling with stride 2 overlaps: what arrives twice adds up",
        "AlexNet: overlapping pooling; numbers chosen here",
        {
            "operation": "pool",
            "input": "1 0 2 0 1 / 0 3 0 4 0 / 2 0 9 0 2 / 0 5 0 6 0 / 1 0 2 0 7",
            "kind": "max",
            "size": 3,
            "stride": 2,
            "backward": True,
        },
    ),
    "affine": Example(
        "x · w + b, and backward δ · wᵀ and xᵀ · δ",
        "Computational graph: Affine; numbers chosen here",
        {
            "operation": "affine",
            "input": "1 2 / 3 4",
            "kernel": "1 0 -1 / 2 1 3",
            "bias": "10 20 30",
            "delta": "1 0 0 / 0 1 2",
            "backward": True,
        },
    ),
    "relu": Example(
        "ReLU lets the slope through where x > 0 alone",
        "Activation function; numbers chosen here",
        {"operation": "activation", "kind": "relu", "input": "-2 -1 0 1 2", "delta": "5 5 5 5 5", "backward": True},
    ),
    "batchnorm": Example(
        "two features over a batch of four, normalised, scaled and shifted",
        "Batch normalization; numbers chosen here",
        {
            "operation": "batchnorm",
            "input": "1 10 / 2 20 / 3 60 / 6 30",
            "kernel": "1 2",
            "bias": "0 1",
            "delta": "1 0 / 0 1 / 0 0 / 1 -1",
            "backward": True,
        },
    ),
}
