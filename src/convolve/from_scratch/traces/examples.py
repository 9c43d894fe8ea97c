"""The lectures' worked examples by name, as the options that one would type; `/` ends a row, `|` a channel.

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
_CAT_CAR_FROG = "3.2 5.1 -1.7 / 1.3 4.9 2.0 / 2.2 2.5 -3.1"
_PERSON_AND_MOTORBIKE = (
    "70 20 120 130 0.9 1 / 75 29 124 138 0.75 1 / 40 70 160 170 0.86 2 / 56 79 172 178 0.66 2 / 66 11 112 116 0.6 1 / "
    "176 50 204 120 0.55 1 / 20 40 84 90 0.2 2"
)
_FOUND = (
    "1 12 10 62 70 0.9 / 2 10 20 60 80 0.8 / 1 14 14 66 74 0.7 / 1 84 22 128 78 0.6 / 2 70 10 110 40 0.5 / "
    "2 66 50 116 98 0.4"
)
_OBJECTS = "1 10 10 60 70 / 1 80 20 130 80 / 2 12 22 62 82 / 2 70 52 120 102 / 3 20 20 60 60"
_DESCRIPTORS = "0.2 -0.4 -0.9 0.6 2.1 -1.3 0.4 -2.0 1.6 / -0.3 0.7 0.1 -0.4 -1.5 2.4 1.1 -0.8 0.9"

EXAMPLES: Mapping[str, WorkedExample] = {
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
    "softmax": WorkedExample(
        "cat, car and frog: probabilities 0.13 0.87 0.00; backward, (y - t) / N",
        "Softmax loss, dy = (y - t) / N; the scores are CS231n's",
        {"operation": "softmax", "input": _CAT_CAR_FROG, "target": "1 2 3", "backward": True},
    ),
    "hinge": WorkedExample(
        "cat, car and frog: losses 2.9, 0 and 12.9, on average 5.27",
        "Assignment 1 of CS231n (Q2: SVM); the scores are CS231n's",
        {"operation": "hinge", "input": _CAT_CAR_FROG, "target": "1 2 3", "backward": True},
    ),
    "l1": WorkedExample(
        "the mean distance; backward, the same size for each value",
        "Review: L1/L2 loss functions; the numbers are not the lecture's",
        {"operation": "l1", "input": "1 2 / 3 4", "target": "1 4 / 0 5", "backward": True},
    ),
    "l2": WorkedExample(
        "the mean squared distance; backward, proportional to the distance",
        "Review: L1/L2 loss functions; the numbers are not the lecture's",
        {"operation": "l2", "input": "1 2 / 3 4", "target": "1 4 / 0 5", "backward": True},
    ),
    "iou": WorkedExample(
        "overlap 900 and union 3600: 900 / (900 + 1100 + 1600) = 0.25",
        "IOU Intersection over Union: TP / (TP + FP + FN); the numbers are not the lecture's",
        {"operation": "iou", "input": "10 10 60 50", "target": "30 20 80 70"},
    ),
    "nms": WorkedExample(
        "a person and a motorbike: of seven boxes three stay",
        "NMS, Predictions on a grid; the numbers are not the lecture's",
        {"operation": "nms", "input": _PERSON_AND_MOTORBIKE},
    ),
    "precision-recall": WorkedExample(
        "9 of 10 dogs are found and no cat is called a dog: precision 100 %, recall 90 %",
        "Precision / Recall: 90 and 10 of 100; the scores are not the lecture's",
        {
            "operation": "average-precision",
            "input": "0.95 1 / 0.9 1 / 0.85 1 / 0.8 1 / 0.75 1 / 0.7 1 / 0.65 1 / 0.6 1 / 0.55 1",
            "target": "10",
        },
    ),
    "average-precision": WorkedExample(
        "six detections of five objects: a second one of an object is a false positive",
        "Precision / Recall, PASCAL VOC challenge; the numbers are not the lecture's",
        {"operation": "average-precision", "input": _FOUND, "target": _OBJECTS},
    ),
    "yolo-v1": WorkedExample(
        "two boxes of one cell, whose classes are those of the cell",
        "Yolo: x, y, w, h, confidence; the numbers are not the lecture's",
        {
            "operation": "yolo",
            "kind": "v1",
            "input": "0.6 0.3 0.5 0.8 0.7 0.1 0.15 0.05 0.9 / 0.5 0.7 0.6 0.4 0.7 0.1 0.15 0.05 0.3",
            "cell": "4 3",
        },
    ),
    "yolo-v2": WorkedExample(
        "two descriptors of four classes: sigmoid, anchors and a softmax",
        "Predictions on a grid: t_x t_y t_w t_h c_1 c_2 c_3 c_4 p_obj; the numbers are not the lecture's",
        {"operation": "yolo", "kind": "v2", "input": _DESCRIPTORS, "cell": "7 6", "anchors": "102 128; 162 259"},
    ),
    "yolo-v3": WorkedExample(
        "the same descriptors: a sigmoid for each class, so that the second box has two",
        "Predictions on a grid: t_x t_y t_w t_h c_1 c_2 c_3 c_4 p_obj; the numbers are not the lecture's",
        {"operation": "yolo", "kind": "v3", "input": _DESCRIPTORS, "cell": "7 6"},
    ),
}
