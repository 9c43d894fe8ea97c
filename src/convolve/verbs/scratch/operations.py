"""The operations of `convolve scratch`: which options each takes, and its trace; and the filters of a photograph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from convolve.errors import OptionError
from convolve.files import check_replaceable
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.filters import FilteredImage, apply_all
from convolve.from_scratch.traces import local_response_norm, pooling, yolo
from convolve.from_scratch.traces.activations import CURVES, activation_trace
from convolve.from_scratch.traces.affine import AffineInputs, affine_trace
from convolve.from_scratch.traces.average_precision import Detections, Judgments, detections_trace, judged_trace
from convolve.from_scratch.traces.convolution import ConvolutionInputs, convolution_trace
from convolve.from_scratch.traces.dropout import DropoutInputs, dropout_trace
from convolve.from_scratch.traces.intersection_over_union import IoUInputs, iou_trace
from convolve.from_scratch.traces.losses import Scores, distance_trace, hinge_trace, softmax_trace
from convolve.from_scratch.traces.maxout import MaxoutInputs, maxout_trace
from convolve.from_scratch.traces.normalization import NormalizationInputs, normalization_trace
from convolve.from_scratch.traces.suppression import SuppressionInputs, suppression_trace
from convolve.from_scratch.traces.trace import Trace
from convolve.from_scratch.traces.windows import size_trace
from convolve.from_scratch.windows import Sliding
from convolve.marks import is_page
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.verbs.scratch import Scratch
from convolve.verbs.scratch.numbers import Numbers, bounded_integer, read_numbers

MOST_TERMS = 20_000
"""The most products of a forward pass, or values of the padded input, that are written out."""
_LONGEST_SIDE = 480
_LARGEST_WHOLE = 2**31
_COMMON = frozenset({"operation", "example", "input", "page"})


@dataclass(frozen=True)
class Operation:
    """Its ``trace`` from the options and the input, and the names of the ``options`` that it takes."""

    trace: Callable[[Scratch, Numbers], Trace]
    options: frozenset[str]


def _size(options: Scratch, x: Numbers) -> Trace:
    kernel = read_numbers("kernel", _required(options, "kernel", "the window's rows and columns, such as '3 3'"))
    for name, sides in (("input", x), ("kernel", kernel)):
        if sides.shape != (1, 1, 2) or (sides < 1).any() or (sides % 1 != 0).any():
            raise OptionError(f"{name} must be two whole numbers of at least 1, rows and columns, such as '7 7'.")
    return size_trace(x[0], kernel[0], _sliding(options))


def _convolution(options: Scratch, x: Numbers) -> Trace:
    one_dimensional = options.operation == "conv1d"
    sample = "1 0 1" if one_dimensional else "1 0; 0 1"
    w = read_numbers("kernel", _required(options, "kernel", f"a kernel, such as '{sample}'"))
    if one_dimensional:  # a row is a channel, and the kernel's | separates filters
        x, w = _matrix("input", x)[:, None], _channels("kernel", w)[:, :, None]
    elif w.ndim == 3:
        w = w[None]
    groups = bounded_integer("groups", options.groups, 1, 1)
    bias, sliding = _vector("bias", options.bias), _sliding(options)
    given = ConvolutionInputs(_channels("input", x), w, bias, sliding, one_dimensional, groups)
    border = given.positions.border
    _check_size(len(given.x) * math.prod(side + 2 * edge for side, edge in zip(given.x.shape[1:], border, strict=True)))
    _check_size(math.prod(given.shape) * w[0].size)
    return convolution_trace(given, _delta(options, given.shape))


def _pooling(options: Scratch, x: Numbers) -> Trace:
    size = bounded_integer("size", options.size, 2, 1)
    kind = _kind(options, pooling.KINDS)
    given = pooling.PoolingInputs(_channels("input", x), size, bounded_integer("stride", options.stride, size, 1), kind)
    _check_size(max(given.x.size, math.prod(given.shape) * size**2))
    return pooling.pooling_trace(given, _delta(options, given.shape))


def _affine(options: Scratch, x: Numbers) -> Trace:
    w = read_numbers("kernel", _required(options, "kernel", "its weights, such as '1 0; 0 1'"))
    given = AffineInputs(_matrix("input", x), _matrix("kernel", w), _vector("bias", options.bias))
    _check_size(given.x.size * given.w.shape[1])
    return affine_trace(given, _delta(options, (len(given.x), given.w.shape[1])))


def _maxout(options: Scratch, x: Numbers) -> Trace:
    w = read_numbers("kernel", _required(options, "kernel", "the weights of its pieces, such as '1; 0 | 0; 1'"))
    bias = None if options.bias is None else _matrix("bias", read_numbers("bias", options.bias))
    given = MaxoutInputs(_matrix("input", x), _channels("kernel", w), bias)
    _check_size(given.x.size * len(given.w) * given.w.shape[2])
    return maxout_trace(given, _delta(options, (len(given.x), given.w.shape[2])))


def _activation(options: Scratch, x: Numbers) -> Trace:
    values = _bounded_matrix(x)
    kind = _kind(options, tuple(CURVES), default="relu")
    return activation_trace(kind, values, _delta(options, values.shape))


def _dropout(options: Scratch, x: Numbers) -> Trace:
    values = _bounded_matrix(x)
    mask = _matrix("kernel", read_numbers("kernel", _required(options, "kernel", "its mask, such as '1 0 1'")))
    given = DropoutInputs(values, mask, 0.5 if options.probability is None else options.probability)
    return dropout_trace(given, _delta(options, values.shape))


def _normalization(options: Scratch, x: Numbers) -> Trace:
    values = _bounded_matrix(x)
    gamma, beta = _vector("kernel", options.kernel), _vector("bias", options.bias)
    gamma = np.ones(values.shape[1]) if gamma is None else gamma
    beta = np.zeros(values.shape[1]) if beta is None else beta
    given = NormalizationInputs(values, gamma, beta, by_example=options.operation == "layernorm")
    return normalization_trace(given, _delta(options, values.shape))


def _local_response_norm(options: Scratch, x: Numbers) -> Trace:
    window = bounded_integer("size", options.size, 5, 1)
    constants = local_response_norm.lrn_constants(_kind(options, local_response_norm.KINDS), window)
    values = _matrix("input", x)
    _check_size(values.size * min(window, values.shape[1]))
    given = local_response_norm.LRNInputs(values, constants)
    return local_response_norm.lrn_trace(given, _delta(options, values.shape))


def _classifier_loss(options: Scratch, x: Numbers) -> Trace:
    values = _bounded_matrix(x)
    target = read_numbers("target", _required(options, "target", "the true class of each row, such as '1 2'")).ravel()
    if (target % 1 != 0).any():
        raise OptionError("target must consist of whole numbers: the true classes, counted from 1.")
    scores = Scores(values, tuple(int(label) - 1 for label in target))
    trace = softmax_trace if options.operation == "softmax" else hinge_trace
    return trace(scores, backward=bool(options.backward))


def _distance(options: Scratch, x: Numbers) -> Trace:
    values = _bounded_matrix(x)
    target = _matrix("target", read_numbers("target", _required(options, "target", "a target of the input's shape")))
    return distance_trace("l1" if options.operation == "l1" else "l2", values, target, backward=bool(options.backward))


def _iou(options: Scratch, x: Numbers) -> Trace:
    target = read_numbers("target", _required(options, "target", "the boxes of the ground truth, such as '0 0 9 9'"))
    given = IoUInputs(_rows("input", x, _BOX), _rows("target", target, _BOX))
    _check_size(math.prod(given.shape))
    return iou_trace(given)


def _suppression(options: Scratch, x: Numbers) -> Trace:
    rows = _rows("input", x, f"{_BOX} confidence", f"{_BOX} confidence class")
    _check_size(len(rows) ** 2)
    classes = _whole("class", rows[:, 5]) if rows.shape[1] == 6 else np.ones(len(rows), np.int64)
    confidence, threshold = _fraction(options, "confidence"), _fraction(options, "iou_threshold")
    return suppression_trace(SuppressionInputs(rows[:, :4], rows[:, 4], classes, confidence, threshold))


def _average_precision(options: Scratch, x: Numbers) -> Trace:
    rows = _rows("input", x, "score right", f"image {_BOX} score")
    wanted = "the number of objects" if rows.shape[1] == 2 else "the image and box of each object"
    target = read_numbers("target", _required(options, "target", wanted))
    if rows.shape[1] == 2:
        if options.iou_threshold is not None:
            raise OptionError("The input says what is right; omit --iou-threshold, or give images and boxes.")
        _check_size(8 * len(rows))
        count = int(_whole("target", _rows("target", target, "objects")).item()) if target.size == 1 else 0
        if count < 1:
            raise OptionError("target must be one whole number of at least 1, that of the objects.")
        return judged_trace(Judgments(rows[:, 0], rows[:, 1], count))
    objects = _rows("target", target, f"image {_BOX}")
    _check_size(len(rows) * (8 + len(objects)))
    _whole("image", np.concatenate([rows[:, 0], objects[:, 0]]))
    threshold = _fraction(options, "iou_threshold")
    return detections_trace(Detections(rows[:, :5], rows[:, 5], objects, threshold))


def _yolo(options: Scratch, x: Numbers) -> Trace:
    version, rows = _kind(options, yolo.VERSIONS), _bounded_matrix(x)
    position = read_numbers("cell", _required(options, "cell", "the row and column of its cell, such as '4 3'")).ravel()
    if len(position) != 2:
        raise OptionError("cell must be two whole numbers, row and column, such as '4 3'.")
    count = bounded_integer("size", options.size, yolo.COUNTS[version], 1)
    _check_size(count**2)
    row, column = (_whole("cell", position) - 1).tolist()
    cell = yolo.GridCell(row, column, count, bounded_integer("stride", options.stride, yolo.SIDES[version], 1))
    return yolo.yolo_trace(
        yolo.Descriptors(version, rows, cell, _anchors(options, version, len(rows)), _fraction(options, "confidence"))
    )


def _anchors(options: Scratch, version: str, count: int) -> Numbers | None:
    """Those given, or the first of the version's; None for v1, which has none."""
    if options.anchors is not None:
        if version == "v1":
            raise OptionError("yolo v1 has no anchors; omit --anchors, or choose --kind v2.")
        return _rows("anchors", read_numbers("anchors", options.anchors), "width height")
    if version == "v1":
        return None
    published = yolo.ANCHORS[version]
    if count > len(published):
        raise OptionError(f"yolo {version} has {len(published)} published anchors for {count} rows; give --anchors.")
    return np.array(published[:count], np.float64)


_BOX = "left top right bottom"
_GRADIENTS = frozenset({"backward", "delta"})
_WEIGHTS = _GRADIENTS | {"kernel", "bias"}
_SLIDING = frozenset({"stride", "padding", "dilation"})
_LOSS = frozenset({"backward", "target"})
OPERATIONS: Mapping[str, Operation] = {
    "size": Operation(_size, _SLIDING | {"kernel"}),
    "conv2d": Operation(_convolution, _WEIGHTS | _SLIDING | {"groups"}),
    "conv1d": Operation(_convolution, _WEIGHTS | _SLIDING | {"groups"}),
    "pool": Operation(_pooling, _GRADIENTS | {"kind", "size", "stride"}),
    "affine": Operation(_affine, _WEIGHTS),
    "maxout": Operation(_maxout, _WEIGHTS),
    "activation": Operation(_activation, _GRADIENTS | {"kind"}),
    "dropout": Operation(_dropout, _GRADIENTS | {"kernel", "probability"}),
    "batchnorm": Operation(_normalization, _WEIGHTS),
    "layernorm": Operation(_normalization, _WEIGHTS),
    "lrn": Operation(_local_response_norm, _GRADIENTS | {"kind", "size"}),
    "softmax": Operation(_classifier_loss, _LOSS),
    "hinge": Operation(_classifier_loss, _LOSS),
    "l1": Operation(_distance, _LOSS),
    "l2": Operation(_distance, _LOSS),
    "iou": Operation(_iou, frozenset({"target"})),
    "nms": Operation(_suppression, frozenset({"confidence", "iou_threshold"})),
    "average-precision": Operation(_average_precision, frozenset({"target", "iou_threshold"})),
    "yolo": Operation(_yolo, frozenset({"kind", "size", "stride", "cell", "anchors", "confidence"})),
}
"""By name, in the order of the help text; `filters` takes a photograph and has no trace."""


def trace_operation(options: Scratch) -> Trace:
    """The trace of an operation, its page written if one is asked for. Raises `OptionError` for invalid options."""
    _check_options(options)
    if options.delta is not None and options.backward is None:
        raise OptionError("delta is the start of the backward pass; add --backward.")
    try:
        trace = OPERATIONS[str(options.operation)].trace(options, read_numbers("input", str(options.input)))
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.traces import write_trace

        write_trace(options.page, trace)
    return trace


def filter_photograph(options: Scratch) -> tuple[FilteredImage, ...]:
    """The photograph through each filter, the page written if one is asked for. Raises `OptionError`, `ImageError`."""
    from PIL import Image

    from convolve.datasets.images import EncodedFile

    if options.input is None:
        raise OptionError("filters needs a photograph; name one with --input.")
    _check_options(options)
    try:
        pixels = EncodedFile(read_file(options.input, IMAGE_BYTES), options.input).decode()
    except OSError as error:
        raise OptionError(f"{options.input} cannot be read ({error.strerror or error}); check the path.") from None
    image = Image.fromarray(pixels.squeeze())
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)  # at which filters of 3x3 are visible
    try:
        images = apply_all(np.asarray(image, np.uint8).reshape(image.height, image.width, -1))
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.traces import write_images

        write_images(options.page, Path(options.input).name, images)
    return images


def _check_options(options: Scratch) -> None:
    """Raises `OptionError` for an option that the operation does not take, `DataError` where a file would be lost."""
    operation = options.operation
    if operation is None:
        raise OptionError(f"The input needs an operation; choose one of {', '.join([*OPERATIONS, 'filters'])}.")
    names = _COMMON if operation == "filters" else _COMMON | OPERATIONS[operation].options
    for spec in fields(options):
        if getattr(options, spec.name) is not None and spec.name not in names:
            raise OptionError(f"{operation} does not take {spec.name}; omit --{spec.name.replace('_', '-')}.")
    if options.page:
        check_replaceable(options.page, is_page, "page that convolve wrote")


def _required(options: Scratch, name: str, what: str) -> str:
    """An option that the operation requires, as it was typed."""
    text: str | None = getattr(options, name)
    if text is None:
        raise OptionError(f"{options.operation} needs {what}; give it with --{name}.")
    return text


def _kind(options: Scratch, kinds: tuple[str, ...], default: str | None = None) -> str:
    kind = options.kind or default or kinds[0]
    if kind not in kinds:
        raise OptionError(f"{options.operation} has no kind {kind}; choose one of {', '.join(kinds)}.")
    return kind


def _sliding(options: Scratch) -> Sliding:
    return Sliding(
        bounded_integer("stride", options.stride, 1, 1),
        bounded_integer("padding", options.padding, 0, 0),
        bounded_integer("dilation", options.dilation, 1, 1),
    )


def _delta(options: Scratch, shape: tuple[int, ...]) -> Array | None:
    """The gradient dy of the output's rank; None without the backward pass."""
    if not options.backward:
        return None
    if options.delta is None:
        return np.ones(shape)
    dy = read_numbers("delta", options.delta)
    if options.operation == "conv1d":  # a row is a filter
        return _matrix("delta", dy)[:, None]
    return _matrix("delta", dy) if len(shape) == 2 else _channels("delta", dy)


def _bounded_matrix(x: Numbers) -> Numbers:
    """The input as one matrix, small enough to be written out."""
    values = _matrix("input", x)
    _check_size(values.size)
    return values


def _channels(name: str, numbers: Numbers) -> Numbers:
    if numbers.ndim != 3:
        raise OptionError(f"{name} has {numbers.ndim} axes; it must have three: channels, rows and columns.")
    return numbers


def _matrix(name: str, numbers: Numbers) -> Numbers:
    if numbers.ndim != 3 or len(numbers) != 1:
        raise OptionError(f"{name} must be one matrix of rows and columns; remove the | or further axes.")
    matrix: Numbers = numbers[0]
    return matrix


def _rows(name: str, numbers: Numbers, *layouts: str) -> Numbers:
    """A matrix whose rows have one of the ``layouts``, named column by column."""
    rows = _matrix(name, numbers)
    if rows.shape[1] not in {len(layout.split()) for layout in layouts}:
        raise OptionError(f"{name} has rows of {rows.shape[1]}; each must be {', or '.join(layouts)}.")
    return rows


def _whole(name: str, numbers: Numbers) -> Labels:
    if (numbers % 1 != 0).any() or (np.abs(numbers) > _LARGEST_WHOLE).any():
        raise OptionError(f"{name} must be whole numbers; one is {next(iter(numbers[numbers % 1 != 0]), 'too large')}.")
    return numbers.astype(np.int64)


def _fraction(options: Scratch, name: str) -> float:
    """The option ``name``'s value, from 0 to 1; default: 0.5."""
    value: float | None = getattr(options, name)
    value = 0.5 if value is None else value
    if not 0 <= value <= 1:
        raise OptionError(f"{name.replace('_', '-')} is {value:g}; it must be from 0 to 1.")
    return value


def _vector(name: str, text: str | None) -> Numbers | None:
    return None if text is None else read_numbers(name, text).ravel()


def _check_size(terms: int) -> None:
    if terms > MOST_TERMS:
        raise OptionError(
            f"This would write out {terms:,} terms, and the limit is {MOST_TERMS:,}; take a part of the input."
        )
