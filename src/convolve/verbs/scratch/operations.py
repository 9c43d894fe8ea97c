"""The operations of `convolve scratch`: which options each takes, and its trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from convolve.errors import OptionError
from convolve.files import check_replaceable
from convolve.from_scratch.traces.trace import Trace
from convolve.marks import is_page
from convolve.verbs.scratch import PHOTOGRAPHS, Scratch, detection, layers, learning
from convolve.verbs.scratch.numbers import Numbers, read_numbers

_COMMON = frozenset({"operation", "example", "input", "page", "language"})
_GRADIENTS = frozenset({"backward", "delta"})
_WEIGHTS = _GRADIENTS | {"kernel", "bias"}
_SLIDING = frozenset({"stride", "padding", "dilation"})
_LOSS = frozenset({"backward", "target"})


@dataclass(frozen=True)
class Operation:
    """Its ``trace`` from the options and the input, and the names of the ``options`` that it takes."""

    trace: Callable[[Scratch, Numbers], Trace]
    options: frozenset[str]


OPERATIONS: Mapping[str, Operation] = {
    "size": Operation(layers.size_operation, _SLIDING | {"kernel"}),
    "layer": Operation(layers.layer_operation, _SLIDING | {"kernel"}),
    "conv2d": Operation(layers.convolution_operation, _WEIGHTS | _SLIDING | {"groups"}),
    "conv1d": Operation(layers.convolution_operation, _WEIGHTS | _SLIDING | {"groups"}),
    "transposed-conv": Operation(layers.transposed_operation, _WEIGHTS | _SLIDING),
    "pool": Operation(layers.pooling_operation, _GRADIENTS | {"kind", "size", "stride"}),
    "gap": Operation(layers.gap_operation, _GRADIENTS),
    "affine": Operation(layers.affine_operation, _WEIGHTS),
    "maxout": Operation(layers.maxout_operation, _WEIGHTS),
    "activation": Operation(layers.activation_operation, _GRADIENTS | {"kind"}),
    "dropout": Operation(layers.dropout_operation, _GRADIENTS | {"kernel", "probability"}),
    "batchnorm": Operation(layers.normalization_operation, _WEIGHTS | {"kind"}),
    "layernorm": Operation(layers.normalization_operation, _WEIGHTS),
    "lrn": Operation(layers.local_response_norm_operation, _GRADIENTS | {"kind", "size"}),
    "softmax": Operation(learning.softmax_operation, _LOSS),
    "hinge": Operation(learning.hinge_operation, _LOSS),
    "l1": Operation(learning.distance_operation, _LOSS),
    "l2": Operation(learning.distance_operation, _LOSS),
    "optimizer": Operation(learning.optimizer_operation, frozenset({"kind", "optimizer", "learning_rate", "steps"})),
    "init": Operation(learning.initialization_operation, frozenset({"kind", "initializer", "seed"})),
    "cam": Operation(detection.class_map_operation, frozenset({"kernel", "target"})),
    "confusion": Operation(detection.confusion_operation, frozenset({"kind"})),
    "iou": Operation(detection.iou_operation, frozenset({"target"})),
    "nms": Operation(detection.suppression_operation, frozenset({"confidence", "iou_threshold"})),
    "average-precision": Operation(detection.average_precision_operation, frozenset({"target", "iou_threshold"})),
    "yolo": Operation(detection.yolo_operation, frozenset({"kind", "size", "stride", "cell", "anchors", "confidence"})),
}
"""By name, in the order of the help text; those of `PHOTOGRAPHS` are in a module of their own."""
_DEFAULT_INPUTS: Mapping[str, Callable[[Scratch], str]] = {
    "optimizer": learning.default_start,
    "init": lambda _: "1000 100 10",
}


def trace_operation(options: Scratch) -> Trace:
    """The trace of an operation, its page written if one is asked for. Raises `OptionError` for invalid options."""
    check_options(options)
    if options.delta is not None and options.backward is None:
        raise OptionError("delta is the start of the backward pass; add --backward.")
    try:
        text = _DEFAULT_INPUTS[str(options.operation)](options) if options.input is None else options.input
        trace = OPERATIONS[str(options.operation)].trace(options, read_numbers("input", text))
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.traces import write_trace

        write_trace(options.page, trace, options.language or "en")
    return trace


def check_options(options: Scratch) -> None:
    """Raises `OptionError` for an option that the operation does not take, `DataError` where a file would be lost."""
    operation = options.operation
    if operation is None:
        raise OptionError(f"The input needs an operation; choose one of {', '.join([*OPERATIONS, *PHOTOGRAPHS])}.")
    if operation in PHOTOGRAPHS and options.input is None:
        raise OptionError(f"{operation} needs a photograph; name one with --input.")
    names = _COMMON if operation in PHOTOGRAPHS else _COMMON | OPERATIONS[operation].options
    for spec in fields(options):
        if getattr(options, spec.name) is not None and spec.name not in names:
            raise OptionError(f"{operation} does not take {spec.name}; omit --{spec.name.replace('_', '-')}.")
    if options.language and not options.page:
        raise OptionError("language is that of the page; add --page, or omit --language.")
    if options.page:
        check_replaceable(options.page, is_page, "page that convolve wrote")
