"""What each operation of `convolve scratch` takes, and its walk from the options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps import activations, pooling, response
from convolve.from_scratch.steps.affine import Affine, affine_walk
from convolve.from_scratch.steps.convolution import Convolution, convolution_walk
from convolve.from_scratch.steps.distances import distance_walk
from convolve.from_scratch.steps.dropout import Dropout, dropout_walk
from convolve.from_scratch.steps.hinge import hinge_walk
from convolve.from_scratch.steps.maxout import Maxout, maxout_walk
from convolve.from_scratch.steps.normalization import Normalization, normalization_walk
from convolve.from_scratch.steps.pooling import Pooling, pooling_walk
from convolve.from_scratch.steps.scores import Scores
from convolve.from_scratch.steps.sizes import size_walk
from convolve.from_scratch.steps.softmax import softmax_walk
from convolve.from_scratch.steps.values import Walk
from convolve.from_scratch.windows import Sliding
from convolve.verbs.scratch.matrices import Numbers, read_numbers, whole
from convolve.verbs.scratch.options import Scratch

MOST_TERMS = 20_000
"""Products of a forward pass, or values of the input with its padding, that are still shown one by one."""


@dataclass(frozen=True)
class Operation:
    """From the options and the input to the walk, and the names of the options that it ``takes`` beyond the input."""

    walk: Callable[[Scratch, Numbers], Walk]
    takes: frozenset[str]


def _size(options: Scratch, x: Numbers) -> Walk:
    kernel = read_numbers("kernel", _needed(options, "kernel", "the window's rows and columns, such as '3 3'"))
    for name, sides in (("input", x), ("kernel", kernel)):
        if sides.shape != (1, 1, 2) or (sides < 1).any() or (sides % 1 != 0).any():
            raise OptionError(f"{name} takes two whole numbers from 1 here, rows and columns, such as '7 7'.")
    return size_walk(x[0], kernel[0], _sliding(options))


def _convolution(options: Scratch, x: Numbers) -> Walk:
    line = options.operation == "conv1d"
    w = read_numbers("kernel", _needed(options, "kernel", f"a kernel, such as '{'1 0 1' if line else '1 0; 0 1'}'"))
    if line:  # a row is a channel, and a | of the kernel ends a filter
        x, w = _two("input", x)[:, None], _three("kernel", w)[:, :, None]
    elif w.ndim == 3:
        w = w[None]
    groups = whole("groups", options.groups, 1, 1)
    layer = Convolution(_three("input", x), w, _vector("bias", options.bias), _sliding(options), line, groups)
    border = layer.places.border
    _bound(len(layer.x) * math.prod(side + 2 * edge for side, edge in zip(layer.x.shape[1:], border, strict=True)))
    _bound(math.prod(layer.shape) * w[0].size)
    return convolution_walk(layer, _delta(options, layer.shape))


def _pooling(options: Scratch, x: Numbers) -> Walk:
    size = whole("size", options.size, 2, 1)
    kind = _kind(options, "Pooling", pooling.KINDS)
    layer = Pooling(_three("input", x), size, whole("stride", options.stride, size, 1), kind)
    _bound(max(layer.x.size, math.prod(layer.shape) * size**2))
    return pooling_walk(layer, _delta(options, layer.shape))


def _affine(options: Scratch, x: Numbers) -> Walk:
    w = read_numbers("kernel", _needed(options, "kernel", "its weights, such as '1 0; 0 1'"))
    layer = Affine(_two("input", x), _two("kernel", w), _vector("bias", options.bias))
    _bound(layer.x.size * layer.w.shape[1])
    return affine_walk(layer, _delta(options, (len(layer.x), layer.w.shape[1])))


def _maxout(options: Scratch, x: Numbers) -> Walk:
    w = read_numbers("kernel", _needed(options, "kernel", "the weights of its pieces, such as '1; 0 | 0; 1'"))
    bias = None if options.bias is None else _two("bias", read_numbers("bias", options.bias))
    layer = Maxout(_two("input", x), _three("kernel", w), bias)
    _bound(layer.x.size * len(layer.w) * layer.w.shape[2])
    return maxout_walk(layer, _delta(options, (len(layer.x), layer.w.shape[2])))


def _activation(options: Scratch, x: Numbers) -> Walk:
    values = _small(x)
    kind = _kind(options, "An activation", activations.KINDS, "relu")
    return activations.activation_walk(kind, values, _delta(options, values.shape))


def _dropout(options: Scratch, x: Numbers) -> Walk:
    values = _small(x)
    mask = _two("kernel", read_numbers("kernel", _needed(options, "kernel", "its mask, such as '1 0 1'")))
    layer = Dropout(values, mask, 0.5 if options.share is None else options.share)
    return dropout_walk(layer, _delta(options, values.shape))


def _normalization(options: Scratch, x: Numbers) -> Walk:
    values = _small(x)
    gamma, beta = _vector("kernel", options.kernel), _vector("bias", options.bias)
    ones, zeros = np.ones(values.shape[1]), np.zeros(values.shape[1])
    scale, shift = ones if gamma is None else gamma, zeros if beta is None else beta
    layer = Normalization(values, scale, shift, layer=options.operation == "layernorm")
    return normalization_walk(layer, _delta(options, values.shape))


def _response(options: Scratch, x: Numbers) -> Walk:
    window = whole("size", options.size, 5, 1)
    constants = response.constants(_kind(options, "LRN", tuple(response.KINDS)), window)
    values = _two("input", x)
    _bound(values.size * min(window, values.shape[1]))
    return response.response_walk(response.Channels(values, constants), _delta(options, values.shape))


def _classified(options: Scratch, x: Numbers) -> Walk:
    values = _small(x)
    target = read_numbers("target", _needed(options, "target", "the true class of each row, such as '1 2'")).ravel()
    if (target % 1 != 0).any():
        raise OptionError("target names a class by a whole number, of which the first is 1.")
    scores = Scores(values, tuple(int(label) - 1 for label in target))
    walk = softmax_walk if options.operation == "softmax" else hinge_walk
    return walk(scores, backward=bool(options.backward))


def _distance(options: Scratch, x: Numbers) -> Walk:
    values = _small(x)
    target = _two("target", read_numbers("target", _needed(options, "target", "as many numbers as the input has")))
    return distance_walk("l1" if options.operation == "l1" else "l2", values, target, backward=bool(options.backward))


_SLOPES = frozenset({"backward", "delta"})
_WEIGHTS = _SLOPES | {"kernel", "bias"}
_WAY = frozenset({"stride", "padding", "dilation"})
_LOSS = frozenset({"backward", "target"})
OPERATIONS: Mapping[str, Operation] = {
    "size": Operation(_size, _WAY | {"kernel"}),
    "conv2d": Operation(_convolution, _WEIGHTS | _WAY | {"groups"}),
    "conv1d": Operation(_convolution, _WEIGHTS | _WAY | {"groups"}),
    "pool": Operation(_pooling, _SLOPES | {"kind", "size", "stride"}),
    "affine": Operation(_affine, _WEIGHTS),
    "maxout": Operation(_maxout, _WEIGHTS),
    "activation": Operation(_activation, _SLOPES | {"kind"}),
    "dropout": Operation(_dropout, _SLOPES | {"kernel", "share"}),
    "batchnorm": Operation(_normalization, _WEIGHTS),
    "layernorm": Operation(_normalization, _WEIGHTS),
    "lrn": Operation(_response, _SLOPES | {"kind", "size"}),
    "softmax": Operation(_classified, _LOSS),
    "hinge": Operation(_classified, _LOSS),
    "l1": Operation(_distance, _LOSS),
    "l2": Operation(_distance, _LOSS),
}
"""By name, in the order in which they are offered; `filters` works on a photograph and has no walk."""


def _needed(options: Scratch, name: str, what: str) -> str:
    """An option that the operation cannot do without."""
    text: str | None = getattr(options, name)
    if text is None:
        raise OptionError(f"{options.operation} needs {what}; give it with --{name}.")
    return text


def _kind(options: Scratch, what: str, kinds: tuple[str, ...], default: str | None = None) -> str:
    kind = options.kind or default or kinds[0]
    if kind not in kinds:
        raise OptionError(f"{what} is of kind {', '.join(kinds)}, not {kind}.")
    return kind


def _sliding(options: Scratch) -> Sliding:
    return Sliding(
        whole("stride", options.stride, 1, 1),
        whole("padding", options.padding, 0, 0),
        whole("dilation", options.dilation, 1, 1),
    )


def _delta(options: Scratch, shape: tuple[int, ...]) -> Array | None:
    """The slopes in the output's shape; None when it does not go back."""
    if not options.backward:
        return None
    if options.delta is None:
        return np.ones(shape)
    slopes = read_numbers("delta", options.delta)
    if options.operation == "conv1d":  # a row is a filter
        return _two("delta", slopes)[:, None]
    return _two("delta", slopes) if len(shape) == 2 else _three("delta", slopes)


def _small(x: Numbers) -> Numbers:
    """One matrix, of which every value can be shown."""
    values = _two("input", x)
    _bound(values.size)
    return values


def _three(name: str, numbers: Numbers) -> Numbers:
    if numbers.ndim != 3:
        raise OptionError(f"{name} has {numbers.ndim} axes; give three, without the || or with a file of fewer axes.")
    return numbers


def _two(name: str, numbers: Numbers) -> Numbers:
    if numbers.ndim != 3 or len(numbers) != 1:
        raise OptionError(f"{name} must be one matrix of rows and columns here; leave further axes or the | out.")
    matrix: Numbers = numbers[0]
    return matrix


def _vector(name: str, text: str | None) -> Numbers | None:
    return None if text is None else read_numbers(name, text).ravel()


def _bound(terms: int) -> None:
    if terms > MOST_TERMS:
        raise OptionError(
            f"That is {terms:,} numbers to show one by one, and the most is {MOST_TERMS:,}; take a part of the input."
        )
