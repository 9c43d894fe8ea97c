"""The operations of `convolve scratch` that are layers of a network."""

from __future__ import annotations

import math

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.traces import local_response_norm, pooling
from convolve.from_scratch.traces.activations import CURVES, activation_trace
from convolve.from_scratch.traces.affine import AffineInputs, affine_trace
from convolve.from_scratch.traces.convolution import ConvolutionInputs, convolution_trace
from convolve.from_scratch.traces.dropout import DropoutInputs, dropout_trace
from convolve.from_scratch.traces.global_pooling import gap_trace
from convolve.from_scratch.traces.layer_stack import layer_trace, parse_layers
from convolve.from_scratch.traces.maxout import MaxoutInputs, maxout_trace
from convolve.from_scratch.traces.normalization import NormalizationInputs, normalization_trace
from convolve.from_scratch.traces.normalization_graph import normalization_graph_trace
from convolve.from_scratch.traces.trace import Trace
from convolve.from_scratch.traces.transposed_convolution import TransposedInputs, transposed_trace
from convolve.from_scratch.traces.windows import size_trace
from convolve.verbs.scratch import Scratch
from convolve.verbs.scratch.arguments import (
    bounded_matrix,
    channel_stack,
    check_size,
    chosen_kind,
    output_gradient,
    required,
    single_matrix,
    sliding_window,
    vector,
)
from convolve.verbs.scratch.numbers import Numbers, bounded_integer, read_numbers

_LARGEST_SIDE = 100_000


def size_operation(options: Scratch, x: Numbers) -> Trace:
    """The size of a feature map."""
    kernel = read_numbers("kernel", required(options, "kernel", "the window's rows and columns, such as '3 3'"))
    for name, sides in (("input", x), ("kernel", kernel)):
        if sides.shape != (1, 1, 2) or (sides < 1).any() or (sides % 1 != 0).any():
            raise OptionError(f"{name} must be two whole numbers of at least 1, rows and columns, such as '7 7'.")
    return size_trace(x[0], kernel[0], sliding_window(options))


def convolution_operation(options: Scratch, x: Numbers) -> Trace:
    """A convolution in one or two dimensions."""
    one_dimensional = options.operation == "conv1d"
    sample = "1 0 1" if one_dimensional else "1 0; 0 1"
    w = read_numbers("kernel", required(options, "kernel", f"a kernel, such as '{sample}'"))
    if one_dimensional:  # a row is a channel, and the kernel's | separates filters
        x, w = single_matrix("input", x)[:, None], channel_stack("kernel", w)[:, :, None]
    elif w.ndim == 3:
        w = w[None]
    groups = bounded_integer("groups", options.groups, 1, 1)
    bias, sliding = vector("bias", options.bias), sliding_window(options)
    given = ConvolutionInputs(channel_stack("input", x), w, bias, sliding, one_dimensional, groups)
    border = given.positions.border
    check_size(len(given.x) * math.prod(side + 2 * edge for side, edge in zip(given.x.shape[1:], border, strict=True)))
    check_size(math.prod(given.shape) * w[0].size)
    return convolution_trace(given, output_gradient(options, given.shape))


def layer_operation(options: Scratch, x: Numbers) -> Trace:
    """The cost and the receptive field of a stack of layers."""
    text = required(options, "kernel", "the layers, such as '3x3 3x3'")
    if x.shape not in {(1, 1, 2), (1, 1, 3)} or (x < 1).any() or (x % 1 != 0).any() or x.max() > _LARGEST_SIDE:
        raise OptionError(
            "input must be two or three whole numbers from 1 to "
            f"{_LARGEST_SIDE}: rows, columns and channels, such as '32 32 3'."
        )
    rows, columns, channels = [int(side) for side in (*x[0, 0], 1)][:3]
    layers = parse_layers(text, sliding_window(options))
    check_size(100 * len(layers))
    return layer_trace((rows, columns, channels), layers)


def transposed_operation(options: Scratch, x: Numbers) -> Trace:
    """A transposed convolution."""
    w = read_numbers("kernel", required(options, "kernel", "a kernel, such as '1 0; 0 1'"))
    x, w = channel_stack("input", x), w if w.ndim == 4 else w[None]
    given = TransposedInputs(x, w, vector("bias", options.bias), sliding_window(options))
    check_size(x.size * len(w) * w[0, 0].size)
    check_size(len(w) * math.prod(given.whole))
    return transposed_trace(given, output_gradient(options, given.shape))


def pooling_operation(options: Scratch, x: Numbers) -> Trace:
    """Max, min or average pooling."""
    size = bounded_integer("size", options.size, 2, 1)
    kind = chosen_kind(options, pooling.KINDS)
    given = pooling.PoolingInputs(
        channel_stack("input", x), size, bounded_integer("stride", options.stride, size, 1), kind
    )
    check_size(max(given.x.size, math.prod(given.shape) * size**2))
    return pooling.pooling_trace(given, output_gradient(options, given.shape))


def gap_operation(options: Scratch, x: Numbers) -> Trace:
    """Global average pooling."""
    maps = channel_stack("input", x)
    check_size(maps.size)
    return gap_trace(maps, output_gradient(options, (1, len(maps))))


def affine_operation(options: Scratch, x: Numbers) -> Trace:
    """An affine layer."""
    w = read_numbers("kernel", required(options, "kernel", "its weights, such as '1 0; 0 1'"))
    given = AffineInputs(single_matrix("input", x), single_matrix("kernel", w), vector("bias", options.bias))
    check_size(given.x.size * given.w.shape[1])
    return affine_trace(given, output_gradient(options, (len(given.x), given.w.shape[1])))


def maxout_operation(options: Scratch, x: Numbers) -> Trace:
    """Maxout."""
    w = read_numbers("kernel", required(options, "kernel", "the weights of its pieces, such as '1; 0 | 0; 1'"))
    bias = None if options.bias is None else single_matrix("bias", read_numbers("bias", options.bias))
    given = MaxoutInputs(single_matrix("input", x), channel_stack("kernel", w), bias)
    check_size(given.x.size * len(given.w) * given.w.shape[2])
    return maxout_trace(given, output_gradient(options, (len(given.x), given.w.shape[2])))


def activation_operation(options: Scratch, x: Numbers) -> Trace:
    """An activation."""
    values = bounded_matrix(x)
    kind = chosen_kind(options, tuple(CURVES), default="relu")
    return activation_trace(kind, values, output_gradient(options, values.shape))


def dropout_operation(options: Scratch, x: Numbers) -> Trace:
    """Dropout with a given mask."""
    values = bounded_matrix(x)
    mask = single_matrix("kernel", read_numbers("kernel", required(options, "kernel", "its mask, such as '1 0 1'")))
    given = DropoutInputs(values, mask, 0.5 if options.probability is None else options.probability)
    return dropout_trace(given, output_gradient(options, values.shape))


def normalization_operation(options: Scratch, x: Numbers) -> Trace:
    """Batch or layer normalization."""
    values = bounded_matrix(x)
    gamma, beta = vector("kernel", options.kernel), vector("bias", options.bias)
    gamma = np.ones(values.shape[1]) if gamma is None else gamma
    beta = np.zeros(values.shape[1]) if beta is None else beta
    given = NormalizationInputs(values, gamma, beta, by_example=options.operation == "layernorm")
    dy = output_gradient(options, values.shape)
    if options.kind is None or chosen_kind(options, ("formula", "graph")) == "formula":
        return normalization_trace(given, dy)
    return normalization_graph_trace(given, dy)


def local_response_norm_operation(options: Scratch, x: Numbers) -> Trace:
    """Local response normalization."""
    window = bounded_integer("size", options.size, 5, 1)
    constants = local_response_norm.lrn_constants(chosen_kind(options, local_response_norm.KINDS), window)
    values = single_matrix("input", x)
    check_size(values.size * min(window, values.shape[1]))
    given = local_response_norm.LRNInputs(values, constants)
    return local_response_norm.lrn_trace(given, output_gradient(options, values.shape))
