"""From the options of `convolve scratch` to a walk through the sums, or to filtered pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from convolve.errors import OptionError
from convolve.scratch.arrays import Array
from convolve.scratch.photographs import Version, versions
from convolve.scratch.steps import activations, pooling
from convolve.scratch.steps.affine import Affine, affine_walk
from convolve.scratch.steps.convolution import Convolution, convolution_walk
from convolve.scratch.steps.normalisation import BatchNorm, batch_norm_walk
from convolve.scratch.steps.pooling import Pooling, pooling_walk
from convolve.scratch.steps.values import Walk
from convolve.scratch.windows import Sliding
from convolve.values import Pixels
from convolve.verbs.matrices import Numbers, read_numbers, whole
from convolve.verbs.scratch import Scratch

MOST_TERMS = 20_000
"""Products of a forward pass, or values of the input with its padding, that are still shown one by one."""
_LONGEST_SIDE = 480
_ALWAYS = {"operation", "example", "input", "page"}
_SLOPES = {"backward", "delta"}
_WINDOW = {"kernel", "bias", "stride", "padding", "dilation"}
_TAKES: Mapping[str, set[str]] = {
    "conv2d": _ALWAYS | _SLOPES | _WINDOW,
    "conv1d": _ALWAYS | _SLOPES | _WINDOW,
    "pool": _ALWAYS | _SLOPES | {"kind", "size", "stride"},
    "affine": _ALWAYS | _SLOPES | {"kernel", "bias"},
    "activation": _ALWAYS | _SLOPES | {"kind"},
    "batchnorm": _ALWAYS | _SLOPES | {"kernel", "bias"},
    "filters": _ALWAYS,
}


def worked(options: Scratch) -> Walk:
    """The walk, its page written if one is asked for. Raises `OptionError` in one sentence for what does not fit."""
    _check(options)
    operation = str(options.operation)
    if options.delta is not None and options.backward is None:
        raise OptionError("delta is where the way back starts; add --backward.")
    try:
        walk = _WALKS[operation](options, read_numbers("input", str(options.input)))
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.sums import write_walk

        write_walk(options.page, walk)
    return walk


def filtered(options: Scratch) -> tuple[Version, ...]:
    """The photograph and its versions, their page written if one is asked for. Raises `OptionError`, `ImageError`."""
    from convolve.data.decode import decode

    if options.input is None:
        raise OptionError("Filters need a photograph; name one with --input.")
    _check(options)
    try:
        picture = _small(decode(Path(options.input).read_bytes(), options.input))
    except OSError as error:
        raise OptionError(f"{options.input} cannot be read ({error.strerror or error}); check the name.") from None
    try:
        found = versions(picture)
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.sums import write_versions

        write_versions(options.page, Path(options.input).name, found)
    return found


def _small(picture: Pixels) -> Pixels:
    """The photograph at a size at which filters of 3x3 can be seen."""
    from PIL import Image

    image = Image.fromarray(picture.squeeze())
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    small: Pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return small


def _check(options: Scratch) -> None:
    """Every option that is said must be one that the operation takes."""
    operation = options.operation
    if operation is None:
        raise OptionError(f"Say what to work out of the input: {', '.join(_TAKES)}.")
    for spec in fields(options):
        if getattr(options, spec.name) is not None and spec.name not in _TAKES[operation]:
            raise OptionError(f"{operation} has no {spec.name}; leave --{spec.name} out.")


def _convolution(options: Scratch, x: Numbers) -> Walk:
    line = options.operation == "conv1d"
    if options.kernel is None:
        raise OptionError(f"{options.operation} needs a kernel, such as --kernel '{'1 0 1' if line else '1 0; 0 1'}'.")
    w = read_numbers("kernel", options.kernel)
    if line:  # a row is a channel, and a | of the kernel ends a filter
        x, w = _two("input", x)[:, None], _three("kernel", w)[:, :, None]
    elif w.ndim == 3:
        w = w[None]
    sliding = Sliding(
        whole("stride", options.stride, 1, 1),
        whole("padding", options.padding, 0, 0),
        whole("dilation", options.dilation, 1, 1),
    )
    layer = Convolution(_three("input", x), w, _vector("bias", options.bias), sliding, line)
    border = layer.places.border
    _bound(len(layer.x) * math.prod(side + 2 * edge for side, edge in zip(layer.x.shape[1:], border, strict=True)))
    _bound(math.prod(layer.shape) * w[0].size)
    return convolution_walk(layer, _delta(options, layer.shape))


def _pooling(options: Scratch, x: Numbers) -> Walk:
    size = whole("size", options.size, 2, 1)
    kind = options.kind or "max"
    if kind not in pooling.KINDS:
        raise OptionError(f"Pooling is of kind {', '.join(pooling.KINDS)}, not {kind}.")
    layer = Pooling(_three("input", x), size, whole("stride", options.stride, size, 1), kind)
    _bound(max(layer.x.size, math.prod(layer.shape) * size**2))
    return pooling_walk(layer, _delta(options, layer.shape))


def _affine(options: Scratch, x: Numbers) -> Walk:
    if options.kernel is None:
        raise OptionError("affine needs its weights, such as --kernel '1 0; 0 1'.")
    layer = Affine(
        _two("input", x), _two("kernel", read_numbers("kernel", options.kernel)), _vector("bias", options.bias)
    )
    _bound(layer.x.size * layer.w.shape[1])
    return affine_walk(layer, _delta(options, (len(layer.x), layer.w.shape[1])))


def _activation(options: Scratch, x: Numbers) -> Walk:
    kind = options.kind or "relu"
    if kind not in activations.KINDS:
        raise OptionError(f"An activation is of kind {', '.join(activations.KINDS)}, not {kind}.")
    values = _two("input", x)
    _bound(values.size)
    return activations.activation_walk(kind, values, _delta(options, values.shape))


def _batch_norm(options: Scratch, x: Numbers) -> Walk:
    values = _two("input", x)
    _bound(values.size)
    gamma, beta = _vector("kernel", options.kernel), _vector("bias", options.bias)
    ones, zeros = np.ones(values.shape[1]), np.zeros(values.shape[1])
    layer = BatchNorm(values, ones if gamma is None else gamma, zeros if beta is None else beta)
    return batch_norm_walk(layer, _delta(options, values.shape))


_WALKS: Mapping[str, Callable[[Scratch, Numbers], Walk]] = {
    "conv2d": _convolution,
    "conv1d": _convolution,
    "pool": _pooling,
    "affine": _affine,
    "activation": _activation,
    "batchnorm": _batch_norm,
}


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


def _three(name: str, numbers: Numbers) -> Numbers:
    if numbers.ndim != 3:
        raise OptionError(f"{name} has {numbers.ndim} axes; give channels, rows and columns.")
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
