"""The lectures' worked examples of the other layers and of the losses."""

from __future__ import annotations

from collections.abc import Mapping

from convolve.from_scratch.steps.example import Example

_TABLE = (
    "3 4 2 1 9 5 6 2 1 8 / 8 9 1 2 3 0 0 6 6 4 / 6 7 0 1 6 3 6 3 7 0 / 3 7 7 9 4 6 6 1 8 2 / 2 9 3 4 3 9 8 7 2 5 / "
    "1 5 9 8 3 6 5 7 2 3 / 9 3 1 9 1 5 8 0 8 4 / 5 6 2 6 8 5 8 8 9 9 / 3 7 7 0 9 4 8 5 4 3 / 7 9 6 4 1 0 4 9 2 3"
)
_CAT_CAR_FROG = "3.2 5.1 -1.7 / 1.3 4.9 2.0 / 2.2 2.5 -3.1"

LAYERS: Mapping[str, Example] = {
    "affine": Example(
        "x · w + b, and backward δ · wᵀ and xᵀ · δ",
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
    "maxout": Example(
        "the greater of two affine pieces; backward the winner alone learns",
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
    "relu": Example(
        "ReLU lets the slope through where x > 0 alone",
        "Activation function; the numbers are not the lecture's",
        {"operation": "activation", "kind": "relu", "input": "-2 -1 0 1 2", "delta": "5 5 5 5 5", "backward": True},
    ),
    "sigmoid": Example(
        "sigmoid's slope is 1/4 at most and dies on both sides",
        "Vanishing gradient; the numbers are not the lecture's",
        {
            "operation": "activation",
            "kind": "sigmoid",
            "input": "-10 -2 0 2 10",
            "backward": True,
        },
    ),
    "dropout": Example(
        "what stays is doubled, what is dropped learns nothing",
        "Dropout; the numbers are not the lecture's",
        {
            "operation": "dropout",
            "input": "1 2 3 / 4 5 6",
            "kernel": "1 0 1 / 0 1 1",
            "delta": "1 1 1 / 2 2 2",
            "backward": True,
        },
    ),
    "batchnorm": Example(
        "two features over a batch of four, normalized, scaled and shifted",
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
    "batchnorm-table": Example(
        "the 10x10 table, normalized column by column",
        "Batch & layer normalization",
        {
            "operation": "batchnorm",
            "input": _TABLE,
        },
    ),
    "layernorm-table": Example(
        "the same table, normalized row by row",
        "Batch & layer normalization",
        {
            "operation": "layernorm",
            "input": _TABLE,
        },
    ),
    "layernorm": Example(
        "two examples over four features, normalized each by itself",
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
    "lrn": Example(
        "strong neighbors in the channels hold each other down",
        "AlexNet: Local Response Normalization (LRN); the numbers are not the lecture's",
        {
            "operation": "lrn",
            "kind": "paper",
            "input": "0 100 200 0 0 0 100 / 10 20 -300 0 5 0 400",
            "backward": True,
        },
    ),
    "lrn-caffe": Example(
        "the same with Caffe's constants, k = 1 and α divided by n",
        "AlexNet: Local Response Normalization (LRN); the numbers are not the lecture's",
        {
            "operation": "lrn",
            "kind": "caffe",
            "input": "0 100 200 0 0 0 100 / 10 20 -300 0 5 0 400",
            "backward": True,
        },
    ),
    "softmax": Example(
        "cat, car and frog: shares 0.13 0.87 0.00; backward (y - t) / N",
        "Softmax loss, dy = (y - t) / N; the scores are CS231n's",
        {
            "operation": "softmax",
            "input": _CAT_CAR_FROG,
            "target": "1 2 3",
            "backward": True,
        },
    ),
    "hinge": Example(
        "cat, car and frog: losses 2.9, 0 and 12.9, in the mean 5.27",
        "Assignment 1 of CS231n (Q2: SVM); the scores are CS231n's",
        {
            "operation": "hinge",
            "input": _CAT_CAR_FROG,
            "target": "1 2 3",
            "backward": True,
        },
    ),
    "l1": Example(
        "the mean distance; backward every value is pulled alike",
        "Review: L1/L2 loss functions; the numbers are not the lecture's",
        {
            "operation": "l1",
            "input": "1 2 / 3 4",
            "target": "1 4 / 0 5",
            "backward": True,
        },
    ),
    "l2": Example(
        "the mean squared distance; backward the farther, the stronger",
        "Review: L1/L2 loss functions; the numbers are not the lecture's",
        {
            "operation": "l2",
            "input": "1 2 / 3 4",
            "target": "1 4 / 0 5",
            "backward": True,
        },
    ),
}
