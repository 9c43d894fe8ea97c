"""The figures of the chapters on convolution and pooling; every number in them is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from drawing import Fills, arrow, box, matrix, number, outline, sheet, text
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.convolution import conv1d_backward_naive, conv1d_forward_naive, convolution_forward
from convolve.from_scratch.filters import FilteredImage, apply_all
from convolve.from_scratch.pooling import (
    average_pool_backward,
    average_pool_forward,
    extreme_pool_backward,
    max_pool_forward,
)
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.windows import Sliding, im2col
from convolve.reports.colors import MUTED, RIGHT, WRONG

TINTS = (RIGHT, WRONG, "#626a75", "#1b1f26")


def numbers(words: str | int | bool) -> Array:
    """A matrix as the worked examples write it, to float64."""
    return np.array([row.split() for row in str(words).split("/")], np.float64)


def example(name: str) -> tuple[Array, Array, Array, Sliding]:
    """A worked example with one channel: input, kernel, output and how the window slides."""
    options = EXAMPLES[name].options
    sliding = Sliding(int(options.get("stride", 1)), int(options.get("padding", 0)))
    x, w = numbers(options["input"]), numbers(options["kernel"])
    y, _ = convolution_forward(x[None, None], w[None, None], np.zeros(1), sliding)
    return x, w, y[0, 0], sliding


def equation(name: str, windows: Sequence[tuple[int, int]] = ((0, 0),), fills: Fills | None = None) -> Figure:
    """Input, kernel and output in a row; for some output cells, the window that each is made of."""
    x, w, y, sliding = example(name)
    x = np.pad(x, sliding.padding)
    height = max(len(x), len(w), len(y)) + 1
    at_w = x.shape[1] + 2.0
    at_y = at_w + w.shape[1] + 1.5
    on = sheet(at_y + y.shape[1] + 0.5, height)
    matrix(on, (0.5, (height - len(x)) / 2), x, fills or border(x, sliding.padding))
    matrix(on, (at_w, (height - len(w)) / 2), w)
    matrix(on, (at_y, (height - len(y)) / 2), y)
    text(on, (at_w - 0.75, height / 2), "∗", size=15)
    text(on, (at_y - 0.75, height / 2), "=", size=15)
    for (i, j), color in zip(windows, TINTS, strict=False):
        corner = 0.5 + sliding.stride * j, (height - len(x)) / 2 + sliding.stride * i
        outline(on, corner, (w.shape[1], w.shape[0]), color)
        outline(on, (at_y + j, (height - len(y)) / 2 + i), (1, 1), color)
    return on.figure


def border(x: Array, padding: int) -> Fills:
    """The cells of a padded input that are padding."""
    inside = [range(padding, side - padding) for side in x.shape]
    return {cell: MUTED for cell in np.ndindex(*x.shape) if padding and not all(map(_within, cell, inside))}


def _within(index: int, inside: range) -> bool:
    return index in inside


def edges() -> Figure:
    """The lecture's filter over dark and light cells; light cells are tinted."""
    x, _, _, _ = example("edges")
    return equation("edges", ((0, 0), (0, 1)), {cell: RIGHT for cell in np.ndindex(*x.shape) if x[cell]})


def channels() -> Figure:
    """Three channels, three kernels, three sums and the bias."""
    options = EXAMPLES["channels"].options
    inputs = [numbers(words) for words in str(options["input"]).split("|")]
    kernels = [numbers(words) for words in str(options["kernel"]).split("|")]
    sums = [float((x * w).sum()) for x, w in zip(inputs, kernels, strict=True)]
    on = sheet(17, 12)
    for index, (x, w, total) in enumerate(zip(inputs, kernels, sums, strict=True)):
        top = 0.5 + 3.9 * index
        matrix(on, (0.5, top), x)
        matrix(on, (5, top), w)
        text(on, (4.25, top + 1.5), "∗", size=15)
        text(on, (8.75, top + 1.5), "=", size=15)
        box(on, (9.5, top + 1), (1.6, 1), RIGHT)
        text(on, (10.3, top + 1.5), number(total))
        arrow(on, (11.2, top + 1.5), (13.9, 5.9 + 0.25 * (index - 1)))
    text(on, (14.4, 5.1), f"+ {options['bias']}", MUTED)
    box(on, (14, 5.4), (1.6, 1), WRONG)
    text(on, (14.8, 5.9), number(sum(sums) + float(options["bias"])))
    return on.figure


def sequence() -> Figure:
    """The 1-D example forward, and the same sums with the gradients of the output, for the gradient of the kernel."""
    options = EXAMPLES["sequence"].options
    x, w, dy = (numbers(options[name])[0] for name in ("input", "kernel", "delta"))
    _, dw = conv1d_backward_naive(dy, x, w)
    on = sheet(18, 4.4)
    for top, taps, result, letters in ((0.8, w, conv1d_forward_naive(x, w), "xwy"), (3, dy, dw, ("x", "δ", "∂L/∂w"))):
        for at, values, letter in zip((1.5, 8.5, 13.5), (x, taps, result), letters, strict=True):
            matrix(on, (at, top), values)
            text(on, (at + len(values) / 2, top - 0.4), letter, MUTED)
        text(on, (7.5, top + 0.5), "∗", size=15)
        text(on, (12.5, top + 0.5), "=", size=15)
        outline(on, (1.5, top), (3, 1))
        outline(on, (13.5, top), (1, 1))
    return on.figure


def taps() -> Figure:
    """The cells of a 7x7 input that nine taps read: with stride 1, with stride 2, with dilation 2."""
    on = sheet(25, 8)
    for index, sliding in enumerate((Sliding(), Sliding(stride=2), Sliding(dilation=2))):
        left = 0.5 + 8.3 * index
        met = im2col(np.arange(49.0).reshape(1, 1, 7, 7), (3, 3), sliding)[0, 0].astype(int)
        fills = {divmod(int(cell), 7): WRONG for cell in met[:, :, 0, 1].ravel()}
        fills |= {divmod(int(cell), 7): RIGHT for cell in met[:, :, 0, 0].ravel()}
        for row, column in np.ndindex(7, 7):
            box(on, (left + column, 0.5 + row), (1, 1), fills.get((row, column)))
    return on.figure


def unrolled() -> Figure:
    """The 3x3 example of im2col: a 2x2 kernel as a row, and a column for each of its four positions."""
    x, w = np.arange(1.0, 10).reshape(1, 1, 3, 3), np.array([[1.0, 0], [0, -1]])
    columns = im2col(x, (2, 2), Sliding())[0, 0].reshape(4, 4)
    on = sheet(20, 5)
    matrix(on, (0.5, 1), x[0, 0], {(0, 0): RIGHT, (0, 1): RIGHT, (1, 0): RIGHT, (1, 1): RIGHT})
    arrow(on, (3.7, 2.5), (4.5, 2.5))
    matrix(on, (5, 2), w.reshape(1, 4))
    text(on, (9.5, 2.5), "·", size=18)
    matrix(on, (10, 0.5), columns, {(row, 0): RIGHT for row in range(4)})
    text(on, (14.75, 2.5), "=", size=15)
    matrix(on, (15.5, 2), w.reshape(1, 4) @ columns, {(0, 0): RIGHT})
    return on.figure


def quarters(side: int, window: int) -> dict[tuple[int, int], str]:
    """A tint for each window."""
    return {(row, column): TINTS[2 * (row // window) + column // window] for row, column in np.ndindex(side, side)}


def pools() -> Figure:
    """2x2 max and average pooling of the lecture's feature map, and the backward passes."""
    options = EXAMPLES["max-pool"].options
    x, dy = numbers(options["input"])[None, None], numbers(options["delta"])[None, None]
    largest, chosen = max_pool_forward(x, 2, 2)
    mean, shared = average_pool_forward(x, 2, 2)
    back = extreme_pool_backward(dy, chosen), average_pool_backward(dy, shared)
    on = sheet(19.5, 10.2)
    matrix(on, (0.5, 3), x[0, 0], quarters(4, 2))
    text(on, (2.5, 2.5), "x", MUTED)
    for name, top, y, dx in (("max", 0.8, largest, back[0]), ("average", 5.7, mean, back[1])):
        arrow(on, (4.7, 5 + (top - 3.2) * 0.2), (6.3, top + 2))
        text(on, (7.8, top + 0.3), name, MUTED)
        matrix(on, (6.8, top + 1), y[0, 0], quarters(2, 1))
        matrix(on, (10.8, top + 1), dy[0, 0], quarters(2, 1))
        text(on, (11.8, top + 0.5), "δ", MUTED)
        arrow(on, (13, top + 2), (14.3, top + 2))
        matrix(on, (14.8, top), dx[0, 0], {at: tint for at, tint in quarters(4, 2).items() if dx[0, 0][at]})
        text(on, (16.8, top - 0.4), "∂L/∂x", MUTED)
    return on.figure


def overlap() -> Figure:
    """3x3 max pooling with stride 2: the 9 in the center is the maximum of all four and adds up four gradients."""
    x = numbers(EXAMPLES["overlap"].options["input"])[None, None]
    y, cache = max_pool_forward(x, 3, 2)
    dx = extreme_pool_backward(np.ones_like(y), cache)
    on = sheet(17.5, 6)
    matrix(on, (0.5, 0.5), x[0, 0], {(2, 2): RIGHT})
    for (i, j), color in zip(np.ndindex(2, 2), TINTS, strict=True):
        outline(on, (0.5 + 2 * j + 0.06 * j, 0.5 + 2 * i + 0.06 * i), (2.94, 2.94), color)
    arrow(on, (6, 3), (7, 3))
    matrix(on, (7.5, 2), y[0, 0])
    arrow(on, (10, 3), (11, 3))
    matrix(on, (11.5, 0.5), dx[0, 0], {(2, 2): RIGHT})
    return on.figure


def rounding() -> Figure:
    """Eight values under windows of 3 with stride 2: three complete windows, and the one that Caffe adds."""
    on = sheet(10.5, 5.2)
    matrix(on, (0.5, 0.5), np.arange(1, 9))
    for index in range(4):
        fill = WRONG if index == 3 else RIGHT
        box(on, (0.5 + 2 * index, 1.9 + 0.8 * index), (min(3, 8 - 2 * index), 0.6), fill)
    return on.figure


def album(images: Sequence[FilteredImage], across: int) -> Figure:
    """Photographs side by side with their names."""
    down = -(-len(images) // across)
    figure = Figure(figsize=(2.6 * across, 2.0 * down), layout="constrained")
    for index, image in enumerate(images):
        axes = figure.add_subplot(down, across, index + 1)
        axes.imshow(image.image, interpolation="nearest")
        axes.set_title(image.name, fontsize=9)
        axes.set_axis_off()
    return figure


def photograph() -> Mapping[str, FilteredImage]:
    """The photograph that comes with scikit-learn, at half its size, through every filter and pooling by name."""
    return {image.name: image for image in apply_all(load_sample_image("china.jpg")[::2, ::2])}


def filtered() -> Figure:
    """The classic filters."""
    return album([image for image in photograph().values() if image.window is None], 3)


def pooled() -> Figure:
    """Min, max and average pooling."""
    return album([image for image in photograph().values() if image.kernel is None], 2)


FIGURES: dict[str, Callable[[], Figure]] = {
    "convolution-mask.svg": lambda: equation("mask"),
    "convolution-padding.svg": lambda: equation("padding"),
    "convolution-stride.svg": lambda: equation("stride", ((0, 0), (0, 1))),
    "convolution-edges.svg": edges,
    "convolution-channels.svg": channels,
    "convolution-sequence.svg": sequence,
    "convolution-taps.svg": taps,
    "convolution-im2col.svg": unrolled,
    "convolution-filters.png": filtered,
    "pooling-2x2.svg": pools,
    "pooling-overlap.svg": overlap,
    "pooling-rounding.svg": rounding,
    "pooling-photograph.png": pooled,
}
