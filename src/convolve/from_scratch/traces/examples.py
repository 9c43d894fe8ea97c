"""The lectures' worked examples by name, as the options that one would type; `/` ends a row, `|` a channel. Those of
layers are in a module of their own.

Each names its slide, and says where its numbers are not the lecture's.
"""

from __future__ import annotations

from collections.abc import Mapping

from convolve.from_scratch.traces.layer_examples import LAYER_EXAMPLES, SIX_MAPS, WorkedExample

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
    **LAYER_EXAMPLES,
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
    "bowl": WorkedExample(
        "the eight optimizers on a long bowl: 30 steps from (-7, 2)",
        "Review: Optimizer; the surface is not the lecture's",
        {"operation": "optimizer", "kind": "bowl", "input": "-7 2"},
    ),
    "saddle": WorkedExample(
        "the same on a saddle, starting next to the ridge",
        "Review: Optimizer; the surface is not the lecture's",
        {"operation": "optimizer", "kind": "saddle", "input": "-1.5 0.01"},
    ),
    "ten-layers": WorkedExample(
        "ten layers of tanh: which initializer keeps the activations spread",
        "Initialization Test, Xavier initialize; the sizes are not the lecture's",
        {"operation": "init", "kind": "tanh", "input": "1000 100 10"},
    ),
    "cam": WorkedExample(
        "six 3x3 maps, each times its weight, added position by position",
        "CNN Class Activation Map; the centers of the maps and the weights are not the lecture's",
        {"operation": "cam", "input": SIX_MAPS, "kernel": "2 -1 1 0 3 1 / -1 3 0 1 0 2"},
    ),
    "confusion": WorkedExample(
        "dogs: precision 90 / (90 + 0) = 100 %, recall 90 / (90 + 10) = 90 %",
        "Confusion matrix, Precision / Recall",
        {"operation": "confusion", "input": "90 0 / 10 90"},
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
