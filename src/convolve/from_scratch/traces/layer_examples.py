"""The lectures' worked examples of layers by name, as the options that one would type; `/` ends a row, `|` a channel.

Each names its slide, and says where its numbers are not the lecture's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class WorkedExample:
    """What it shows, the slide that it is on, and its options of `convolve scratch`."""

    title: str
    slide: str
    options: Mapping[str, str | int | bool]


_KERNEL = "2 0 1 / 0 1 2 / 1 0 2"
_SEVEN = "1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1 / 2 3 0 1 2 3 0 / 1 2 3 0 1 2 3 / 0 1 2 3 0 1 2 / 3 0 1 2 3 0 1"
_SIX = "3 1 1 2 8 4 / 1 0 7 3 2 6 / 2 3 5 1 1 3 / 1 4 1 2 6 5 / 3 2 1 3 7 2 / 9 2 6 2 5 1"
_POOLED = "1 1 2 4 / 5 6 7 8 / 3 2 1 0 / 1 2 3 4"
_RED = "0 0 0 / 0 156 155 / 0 153 154"
_GREEN = "0 0 0 / 0 167 166 / 0 164 165"
_BLUE = "0 0 0 / 0 163 162 / 0 160 161"
_KERNELS = "-1 -1 1 / 0 1 -1 / 0 1 1 | 1 0 0 / 1 -1 -1 / 1 0 -1 | 0 1 1 / 0 1 0 / 1 -1 1"
_TABLE = (
    "3 4 2 1 9 5 6 2 1 8 / 8 9 1 2 3 0 0 6 6 4 / 6 7 0 1 6 3 6 3 7 0 / 3 7 7 9 4 6 6 1 8 2 / 2 9 3 4 3 9 8 7 2 5 / "
    "1 5 9 8 3 6 5 7 2 3 / 9 3 1 9 1 5 8 0 8 4 / 5 6 2 6 8 5 8 8 9 9 / 3 7 7 0 9 4 8 5 4 3 / 7 9 6 4 1 0 4 9 2 3"
)
SIX_MAPS = (
    "3 2 0 / -1 1 1 / 1 0 1 | 1 1 0 / 5 1 1 / 5 0 2 | 1 -1 0 / -2 1 1 / 1 0 9 | 0 2 0 / 1 1 1 / 2 0 0 | "
    "1 1 0 / 0 1 1 / 0 0 4 | 0 2 0 / 0 1 1 / 0 0 -1"
)

LAYER_EXAMPLES: Mapping[str, WorkedExample] = {
    "size": WorkedExample(
        "28x31 with a 5x5 kernel, padding 2 and stride 3 gives 10x11",
        "Size of feature maps (특징맵의 크기변화)",
        {"operation": "size", "input": "28 31", "kernel": "5 5", "stride": 3, "padding": 2},
    ),
    "size-odd": WorkedExample(
        "7x7 with a 3x3 kernel and stride 3: not a whole number, rounded down",
        "Size of feature maps (특징맵의 크기변화)",
        {"operation": "size", "input": "7 7", "kernel": "3 3", "stride": 3},
    ),
    "layer": WorkedExample(
        "ten 5x5 filters on 32x32x3: (5·5·3 + 1)·10 = 760 parameters",
        "Size of feature maps (특징맵의 크기변화): Number of parameters in this layer?",
        {"operation": "layer", "input": "32 32 3", "kernel": "5x5x10p2"},
    ),
    "layer-stack": WorkedExample(
        "three 3x3 see 7x7, with 27 weights in place of 49",
        "Smaller filters (더 작은 필터)",
        {"operation": "layer", "input": "7 7", "kernel": "3x3 3x3 3x3"},
    ),
    "layer-inception": WorkedExample(
        "a 5x5 convolution of 480 maps: 112.9 M multiply-adds",
        "Inception module: 1x1 conv.",
        {"operation": "layer", "input": "14 14 480", "kernel": "5x5x48p2"},
    ),
    "layer-reduced": WorkedExample(
        "the same after a 1x1 convolution to 16 maps: 1.5 M + 3.8 M = 5.3 M",
        "Inception module: 1x1 conv.",
        {"operation": "layer", "input": "14 14 480", "kernel": "1x1x16 5x5x48p2"},
    ),
    "layer-reduced-28": WorkedExample(
        "on 28x28x192: 2.4 M + 10 M = 12.4 M multiply-adds",
        "GoogLeNet: Using 1*1 Convolution Filter",
        {"operation": "layer", "input": "28 28 192", "kernel": "1x1x16 5x5x32p2"},
    ),
    "layer-dense": WorkedExample(
        "a dense layer on 7x7x1024: 51380224 weights, which the slide cuts to 51.3 M; with gap in its place none",
        "Global Average Pooling",
        {"operation": "layer", "input": "7 7 1024", "kernel": "fc1024"},
    ),
    "mask": WorkedExample(
        "a 3x3 mask over a 5x5 image; the output starts with 4 3 4",
        "CNN 2D convolution operation",
        {
            "operation": "conv2d",
            "input": "1 1 1 0 0 / 0 1 1 1 0 / 0 0 1 1 1 / 0 0 1 1 0 / 0 1 1 0 0",
            "kernel": "1 0 1 / 0 1 0 / 1 0 1",
        },
    ),
    "padding": WorkedExample(
        "4x4 with padding 1 stays 4x4; the output starts with 7 12 10 2",
        "Size of feature maps (특징맵의 크기변화)",
        {"operation": "conv2d", "input": "1 2 3 0 / 0 1 2 3 / 3 0 1 2 / 2 3 0 1", "kernel": _KERNEL, "padding": 1},
    ),
    "stride": WorkedExample(
        "7x7 with stride 2 gives 3x3; the output starts with 15 17",
        "Size of feature maps (특징맵의 크기변화)",
        {"operation": "conv2d", "input": _SEVEN, "kernel": _KERNEL, "stride": 2},
    ),
    "channels": WorkedExample(
        "three channels and a bias: 308 - 498 + 164 + 1 = -25",
        "Convolution: multi-channel",
        {"operation": "conv2d", "input": f"{_RED} | {_GREEN} | {_BLUE}", "kernel": _KERNELS, "bias": "1"},
    ),
    "edges": WorkedExample(
        "the vertical-edge filter gives 0 300 300 0",
        "Convolution extracts features (특징을 추출할 수 있다)",
        {"operation": "conv2d", "input": " / ".join(["0 0 0 100 100 100"] * 5), "kernel": "-1 0 1 / -1 0 1 / -1 0 1"},
    ),
    "border": WorkedExample(
        "6x6 padded by 1 is 8x8, from which a 3x3 kernel gives 6x6",
        "Convolution: Padding; the kernel is not the lecture's",
        {"operation": "conv2d", "input": _SIX, "kernel": "1 1 1 / 1 1 1 / 1 1 1", "padding": 1},
    ),
    "dilation": WorkedExample(
        "a 3x3 kernel with dilation 2 covers 5x5",
        "7x7 and 3x3 from the stride slide; the lecture has no dilation",
        {"operation": "conv2d", "input": _SEVEN, "kernel": _KERNEL, "dilation": 2},
    ),
    "groups": WorkedExample(
        "two groups: each filter sees half of the channels",
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
    "convolution-backward": WorkedExample(
        "the 3x3 mask over the 5x5 image, and back: which windows cover a pixel",
        "CNN 2D backpropagation; δ is not the lecture's",
        {
            "operation": "conv2d",
            "input": "1 1 1 0 0 / 0 1 1 1 0 / 0 0 1 1 1 / 0 0 1 1 0 / 0 1 1 0 0",
            "kernel": "1 0 1 / 0 1 0 / 1 0 1",
            "delta": "1 0 0 / 0 10 0 / 0 0 100",
            "backward": True,
        },
    ),
    "transposed": WorkedExample(
        "2x2 becomes 5x5: each value stamps the kernel, two apart, and overlaps add up",
        "Deconvolution; the numbers are not the lecture's",
        {
            "operation": "transposed-conv",
            "input": "1 2 / 3 4",
            "kernel": "1 0 1 / 0 2 0 / 1 0 1",
            "stride": 2,
            "backward": True,
        },
    ),
    "transposed-padding": WorkedExample(
        "the same with padding 1: the border is cut off, 3x3 is left",
        "Deconvolution; the numbers are not the lecture's",
        {
            "operation": "transposed-conv",
            "input": "1 2 / 3 4",
            "kernel": "1 0 1 / 0 2 0 / 1 0 1",
            "stride": 2,
            "padding": 1,
            "backward": True,
        },
    ),
    "sequence": WorkedExample(
        "a 1D convolution and its gradient: ∂L/∂w[i] = Σ δ[j] x[i+j-1]",
        "CNN 1D backpropagation; the numbers are not the lecture's",
        {"operation": "conv1d", "input": "1 2 4 7 11", "kernel": "3 5 13", "delta": "1 10 100", "backward": True},
    ),
    "max-pool": WorkedExample(
        "2x2 max pooling: 6 8 / 3 4; backward, the largest gets all of δ",
        "Pooling layer; δ is not the lecture's",
        {"operation": "pool", "input": _POOLED, "kind": "max", "size": 2, "delta": "10 20 / 30 40", "backward": True},
    ),
    "min-pool": WorkedExample(
        "2x2 min pooling: 1 2 / 1 0; backward, the smallest gets all of δ",
        "Compare pooling algorithm; δ is not the lecture's",
        {"operation": "pool", "input": _POOLED, "kind": "min", "size": 2, "delta": "10 20 / 30 40", "backward": True},
    ),
    "average-pool": WorkedExample(
        "2x2 average pooling: 3.25 5.25 / 2 2; backward, each gets δ/m",
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
    "gap": WorkedExample(
        "six maps, six means; backward, each value of a map gets δ/9",
        "Global Average Pooling: the mean of each feature map; the centers of the maps are not the lecture's",
        {"operation": "gap", "input": SIX_MAPS, "delta": "9 18 27 0 -9 1", "backward": True},
    ),
    "overlap": WorkedExample(
        "3x3 max pooling with stride 2: gradients of overlapping windows add up",
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
    "affine": WorkedExample(
        "x · w + b; backward, δ · wᵀ and xᵀ · δ",
        "Computational graph: Affine; the numbers are not the lecture's",
        {
            "operation": "affine",
            "input": "1 2 / 3 4",
            "kernel": "1 0 -1 / 2 1 3",
            "bias": "10 20 30",
            "delta": "1 0 0 / 0 1 2",
            "backward": True,
        },
    ),
    "maxout": WorkedExample(
        "the larger of two affine pieces; backward, only that one gets δ",
        "Activation function: Maxout; the numbers are not the lecture's",
        {
            "operation": "maxout",
            "input": "1 2 / 3 -1",
            "kernel": "1 0 / 0 1 | 2 1 / -1 1",
            "bias": "0 1 / 2 -3",
            "delta": "1 10 / 100 1000",
            "backward": True,
        },
    ),
    "relu": WorkedExample(
        "ReLU passes the gradient only where x > 0",
        "Activation function; the numbers are not the lecture's",
        {"operation": "activation", "kind": "relu", "input": "-2 -1 0 1 2", "delta": "5 5 5 5 5", "backward": True},
    ),
    "sigmoid": WorkedExample(
        "the sigmoid's derivative is at most 1/4 and vanishes on both sides",
        "Vanishing gradient; the numbers are not the lecture's",
        {"operation": "activation", "kind": "sigmoid", "input": "-10 -2 0 2 10", "backward": True},
    ),
    "dropout": WorkedExample(
        "kept values are doubled, dropped ones get no gradient",
        "Dropout; the numbers are not the lecture's",
        {
            "operation": "dropout",
            "input": "1 2 3 / 4 5 6",
            "kernel": "1 0 1 / 0 1 1",
            "delta": "1 1 1 / 2 2 2",
            "backward": True,
        },
    ),
    "batchnorm": WorkedExample(
        "two features over a batch of four: normalized, scaled and shifted",
        "Batch normalization; the numbers are not the lecture's",
        {
            "operation": "batchnorm",
            "input": "1 10 / 2 20 / 3 60 / 6 30",
            "kernel": "1 2",
            "bias": "0 1",
            "delta": "1 0 / 0 1 / 0 0 / 1 -1",
            "backward": True,
        },
    ),
    "batchnorm-graph": WorkedExample(
        "the same backward along the graph, node by node",
        "Flow of computation through Batch Normalization layer; the numbers are not the lecture's",
        {
            "operation": "batchnorm",
            "kind": "graph",
            "input": "1 10 / 2 20 / 3 60 / 6 30",
            "kernel": "1 2",
            "bias": "0 1",
            "delta": "1 0 / 0 1 / 0 0 / 1 -1",
            "backward": True,
        },
    ),
    "batchnorm-table": WorkedExample(
        "the 10x10 table, normalized column by column",
        "Batch & layer normalization",
        {"operation": "batchnorm", "input": _TABLE},
    ),
    "layernorm-table": WorkedExample(
        "the same table, normalized row by row",
        "Batch & layer normalization",
        {"operation": "layernorm", "input": _TABLE},
    ),
    "layernorm": WorkedExample(
        "two examples of four features, each normalized by itself",
        "Batch & layer normalization; the numbers are not the lecture's",
        {
            "operation": "layernorm",
            "input": "1 2 3 6 / 10 20 60 30",
            "kernel": "1 2 1 2",
            "bias": "0 1 0 1",
            "delta": "1 0 0 1 / 0 1 0 -1",
            "backward": True,
        },
    ),
    "lrn": WorkedExample(
        "strong neighboring channels suppress each other",
        "AlexNet: Local Response Normalization (LRN); the numbers are not the lecture's",
        {"operation": "lrn", "kind": "paper", "input": "0 100 200 0 0 0 100 / 10 20 -300 0 5 0 400", "backward": True},
    ),
    "lrn-caffe": WorkedExample(
        "the same with Caffe's constants: k = 1, α divided by n",
        "AlexNet: Local Response Normalization (LRN); the numbers are not the lecture's",
        {"operation": "lrn", "kind": "caffe", "input": "0 100 200 0 0 0 100 / 10 20 -300 0 5 0 400", "backward": True},
    ),
}
