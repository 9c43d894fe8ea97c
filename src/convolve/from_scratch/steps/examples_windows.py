"""The lectures' worked examples of windows that slide: sizes, convolution, pooling."""

from __future__ import annotations

from collections.abc import Mapping

from convolve.from_scratch.steps.example import Example

_KERNEL = "2 0 1 / 0 1 2 / 1 0 2"
_SEVEN = "1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1 / 2 3 0 1 2 3 0 / 1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1"
_SIX = "3 1 1 2 8 4 / 1 0 7 3 2 6 / 2 3 5 1 1 3 / 1 4 1 2 6 5 / 3 2 1 3 7 2 / 9 2 6 2 5 1"
_POOLED = "1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4"
_RED = "0 0 0 / 0 156 155 / 0 153 154"
_GREEN = "0 0 0 / 0 167 166 / 0 164 165"
_BLUE = "0 0 0 / 0 163 162 / 0 160 161"
_KERNELS = "-1 -1 1 / 0 1 -1 / 0 1 1 | 1 0 0 / 1 -1 -1 / 1 0 -1 | 0 1 1 / 0 1 0 / 1 -1 1"

WINDOWS: Mapping[str, Example] = {
    "size": Example(
        "28x31 under 5x5 with padding 2 and stride 3 becomes 10x11",
        "Size of feature maps (특징맵의 크기변화)",
        {
            "operation": "size",
            "input": "28 31",
            "kernel": "5 5",
            "stride": 3,
            "padding": 2,
        },
    ),
    "size-odd": Example(
        "7x7 under 3x3 with stride 3 comes to no whole number: rounded down",
        "Size of feature maps (특징맵의 크기변화)",
        {
            "operation": "size",
            "input": "7 7",
            "kernel": "3 3",
            "stride": 3,
        },
    ),
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
            "input": _SEVEN,
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
    "border": Example(
        "6x6 with padding 1 becomes 8x8, of which 3x3 leaves 6x6",
        "Convolution: Padding; the kernel is not the lecture's",
        {
            "operation": "conv2d",
            "input": _SIX,
            "kernel": "1 1 1 / 1 1 1 / 1 1 1",
            "padding": 1,
        },
    ),
    "dilation": Example(
        "a 3x3 kernel with dilation 2 reaches as far as 5x5",
        "7x7 and 3x3 of the stride's slide; the lecture has no dilation",
        {
            "operation": "conv2d",
            "input": _SEVEN,
            "kernel": _KERNEL,
            "dilation": 2,
        },
    ),
    "groups": Example(
        "two groups: each filter sees its own half of the channels",
        "AlexNet: Multiple GPUs; the numbers are not the lecture's",
        {
            "operation": "conv2d",
            "input": "1 2 / 3 4 | 5 6 / 7 8",
            "kernel": "1 0 / 0 -1 || 0 1 / 1 0",
            "groups": 2,
            "delta": "1 | 10",
            "backward": True,
        },
    ),
    "sequence": Example(
        "a 1D convolution and its slopes: ∂L/∂w[i] = Σ δ[j] x[i+j-1]",
        "CNN 1D backpropagation; the numbers are not the lecture's",
        {"operation": "conv1d", "input": "1 2 4 7 11", "kernel": "3 5 13", "delta": "1 10 100", "backward": True},
    ),
    "max-pool": Example(
        "2x2 max pooling: 6 8 / 3 4; backward the greatest gets all of δ",
        "Pooling layer; δ is not the lecture's",
        {"operation": "pool", "input": _POOLED, "kind": "max", "size": 2, "delta": "10 20 / 30 40", "backward": True},
    ),
    "min-pool": Example(
        "2x2 min pooling: 1 2 / 1 0; backward the smallest gets all of δ",
        "Compare pooling algorithm; δ is not the lecture's",
        {
            "operation": "pool",
            "input": _POOLED,
            "kind": "min",
            "size": 2,
            "delta": "10 20 / 30 40",
            "backward": True,
        },
    ),
    "average-pool": Example(
        "2x2 average pooling: 3.25 5.25 / 2 2; backward each gets δ/m",
        "Pooling layer, Average Pooling; δ is not the lecture's",
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
        "AlexNet: overlapping pooling; the numbers are not the lecture's",
        {
            "operation": "pool",
            "input": "1 0 2 0 1 / 0 3 0 4 0 / 2 0 9 0 2 / 0 5 0 6 0 / 1 0 2 0 7",
            "kind": "max",
            "size": 3,
            "stride": 2,
            "backward": True,
        },
    ),
}
