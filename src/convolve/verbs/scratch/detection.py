"""The operations of `convolve scratch` that find something in an image, or judge what was found."""

from __future__ import annotations

import math

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.traces import yolo
from convolve.from_scratch.traces.average_precision import Detections, Judgments, detections_trace, judged_trace
from convolve.from_scratch.traces.confusion import KINDS, ConfusionInputs, confusion_trace
from convolve.from_scratch.traces.global_pooling import ClassMapInputs, class_map_trace
from convolve.from_scratch.traces.intersection_over_union import IoUInputs, iou_trace
from convolve.from_scratch.traces.suppression import SuppressionInputs, suppression_trace
from convolve.from_scratch.traces.trace import Trace
from convolve.verbs.scratch import Scratch
from convolve.verbs.scratch.arguments import (
    bounded_matrix,
    channel_stack,
    check_size,
    chosen_kind,
    fraction,
    labeled_rows,
    required,
    single_matrix,
    vector,
    whole_numbers,
)
from convolve.verbs.scratch.numbers import Numbers, bounded_integer, read_numbers

_BOX = "left top right bottom"


def class_map_operation(options: Scratch, x: Numbers) -> Trace:
    """The class activation map of maps and weights."""
    w = single_matrix("kernel", read_numbers("kernel", required(options, "kernel", "the weights, one class per row")))
    maps, target = channel_stack("input", x), vector("target", options.target)
    if target is not None and target.size != 1:
        raise OptionError("target must be one whole number: the class, counted from 1.")
    check_size(maps.size + w.size)
    label = None if target is None else int(whole_numbers("target", target).item()) - 1
    return class_map_trace(ClassMapInputs(maps, w, label))


def confusion_operation(options: Scratch, x: Numbers) -> Trace:
    """Precision, recall, F1 and accuracy of a confusion matrix."""
    return confusion_trace(ConfusionInputs(bounded_matrix(x), chosen_kind(options, KINDS)))


def iou_operation(options: Scratch, x: Numbers) -> Trace:
    """The IoU of boxes."""
    target = read_numbers("target", required(options, "target", "the boxes of the ground truth, such as '0 0 9 9'"))
    given = IoUInputs(labeled_rows("input", x, _BOX), labeled_rows("target", target, _BOX))
    check_size(math.prod(given.shape))
    return iou_trace(given)


def suppression_operation(options: Scratch, x: Numbers) -> Trace:
    """Non-maximum suppression."""
    rows = labeled_rows("input", x, f"{_BOX} confidence", f"{_BOX} confidence class")
    check_size(len(rows) ** 2)
    classes = whole_numbers("class", rows[:, 5]) if rows.shape[1] == 6 else np.ones(len(rows), np.int64)
    confidence, threshold = fraction(options, "confidence"), fraction(options, "iou_threshold")
    return suppression_trace(SuppressionInputs(rows[:, :4], rows[:, 4], classes, confidence, threshold))


def average_precision_operation(options: Scratch, x: Numbers) -> Trace:
    """Average precision of detections, or of judged scores."""
    rows = labeled_rows("input", x, "score right", f"image {_BOX} score")
    wanted = "the number of objects" if rows.shape[1] == 2 else "the image and box of each object"
    target = read_numbers("target", required(options, "target", wanted))
    if rows.shape[1] == 2:
        if options.iou_threshold is not None:
            raise OptionError("The input says what is right; omit --iou-threshold, or give images and boxes.")
        check_size(8 * len(rows))
        count = (
            int(whole_numbers("target", labeled_rows("target", target, "objects")).item()) if target.size == 1 else 0
        )
        if count < 1:
            raise OptionError("target must be one whole number of at least 1, that of the objects.")
        return judged_trace(Judgments(rows[:, 0], rows[:, 1], count))
    objects = labeled_rows("target", target, f"image {_BOX}")
    check_size(len(rows) * (8 + len(objects)))
    whole_numbers("image", np.concatenate([rows[:, 0], objects[:, 0]]))
    threshold = fraction(options, "iou_threshold")
    return detections_trace(Detections(rows[:, :5], rows[:, 5], objects, threshold))


def yolo_operation(options: Scratch, x: Numbers) -> Trace:
    """The boxes of one cell of YOLO."""
    version, rows = chosen_kind(options, yolo.VERSIONS), bounded_matrix(x)
    position = read_numbers("cell", required(options, "cell", "the row and column of its cell, such as '4 3'")).ravel()
    if len(position) != 2:
        raise OptionError("cell must be two whole numbers, row and column, such as '4 3'.")
    count = bounded_integer("size", options.size, yolo.COUNTS[version], 1)
    check_size(count**2)
    row, column = (whole_numbers("cell", position) - 1).tolist()
    cell = yolo.GridCell(row, column, count, bounded_integer("stride", options.stride, yolo.SIDES[version], 1))
    return yolo.yolo_trace(
        yolo.Descriptors(version, rows, cell, _anchors(options, version, len(rows)), fraction(options, "confidence"))
    )


def _anchors(options: Scratch, version: str, count: int) -> Numbers | None:
    """Those given, or the first of the version's; None for v1, which has none."""
    if options.anchors is not None:
        if version == "v1":
            raise OptionError("yolo v1 has no anchors; omit --anchors, or choose --kind v2.")
        return labeled_rows("anchors", read_numbers("anchors", options.anchors), "width height")
    if version == "v1":
        return None
    published = yolo.ANCHORS[version]
    if count > len(published):
        raise OptionError(f"yolo {version} has {len(published)} published anchors for {count} rows; give --anchors.")
    return np.array(published[:count], np.float64)
