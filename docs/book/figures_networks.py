"""The figures of the chapters on normalization and networks; what they show is read from the code or computed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from plots import histogram

from convolve import models
from convolve.from_scratch.activations import tanh_forward
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.initializers import gaussian
from convolve.from_scratch.normalization import batch_norm_forward, layer_norm_forward
from convolve.layers.geometry import ReceptiveField, Window
from convolve.models.lenet import TABLE_I
from convolve.reports.colors import CELL, INK, LINE, MUTED, PAPER, RIGHT, WRONG

SLIDE = np.array(
    [
        [float(digit) for digit in row]
        for row in (
            "3421956218", "8912300664", "6701636370", "3779466182", "2934398725",
            "1598365723", "9319158084", "5626858899", "3770948543", "7964104923",
        )
    ]
)  # fmt: skip
"""The lecture's ten examples (rows) of ten features (columns); slide "Batch & layer normalization"."""
DEPTH, WIDTH = 10, 500


def normalization_axes() -> Figure:
    """The lecture's numbers before and after batch (a column) and layer normalization (a row)."""
    ones, zeros = np.ones(10), np.zeros(10)
    batch, _ = batch_norm_forward(SLIDE, ones, zeros)
    layer, _ = layer_norm_forward(SLIDE, ones, zeros)
    figure = Figure(figsize=(7.7, 7.6), layout="constrained")
    for number, normalized in enumerate((batch, layer)):
        selection: tuple[int | slice, int | slice] = (slice(None), 3) if number == 0 else (4, slice(None))
        color = RIGHT if number == 0 else WRONG
        values = SLIDE[selection]
        mean, variance = values.mean(), values.var()
        before = _draw_table(figure, (2, 2, 2 * number + 1), SLIDE, selection, color)
        before.set_title(f"μ = {mean:.1f}, σ² = {variance:.2f}", color=color, fontsize=11)
        after = _draw_table(figure, (2, 2, 2 * number + 2), normalized, selection, color)
        after.set_title(f"(x - {mean:.1f}) / √({variance:.2f} + ε)", color=color, fontsize=11)
    return figure


def normalized_depth() -> Figure:
    """Ten tanh layers from weights of deviation 0.01: their outputs without, and with batch normalization."""
    figure = Figure(figsize=(8.2, 2.4), layout="constrained")
    ones, zeros = np.ones(WIDTH), np.zeros(WIDTH)
    for row, title in enumerate(("–", "BN")):
        random = np.random.default_rng(0)
        x: Array = random.standard_normal((500, WIDTH))
        for layer in range(DEPTH):
            x = x @ gaussian(random, (WIDTH, WIDTH), np.float64)
            if row == 1:
                x, _ = batch_norm_forward(x, ones, zeros)
            x, _ = tanh_forward(x)
            ax = figure.add_subplot(2, DEPTH, row * DEPTH + layer + 1)
            histogram(ax, x, (-1, 1))
            if layer == 0:
                ax.set_ylabel(title, rotation=0, ha="right", va="center")
    return figure


def response() -> Figure:
    """The output of LRN for a value with equal neighbors: the paper's constants, and BVLC's for Caffe."""
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    ax = figure.add_subplot()
    x = np.linspace(0.1, 400, 400)
    cases = {"n 5, k 2, α 1e-4, β 0.75": (2.0, 5 * 1e-4, RIGHT), "n 5, k 1, α 1e-4/5, β 0.75": (1.0, 1e-4, WRONG)}
    for name, (k, times, color) in cases.items():
        ax.plot(x, x / (k + times * x**2) ** 0.75, color=color, label=name, linewidth=2)
    ax.plot(x, x, color=LINE, linestyle="--")
    ax.set(xlabel="a", ylabel="b", ylim=(0, 120), xlim=(0, 400))
    ax.legend(frameon=False, loc="upper right", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def lenet_table() -> Figure:
    """Table I of the LeNet-5 paper: which maps of S2 (rows) each map of C3 (columns) reads."""
    figure = Figure(figsize=(7, 2.9), layout="constrained")
    ax = figure.add_subplot()
    for column, inputs in enumerate(TABLE_I):
        for row in range(6):
            color = RIGHT if row in inputs else CELL
            ax.add_patch(Rectangle((column, row), 0.92, 0.92, color=color))
        ax.text(column + 0.46, 6.45, str(len(inputs)), ha="center", va="center", fontsize=9, color=MUTED)
    ax.set(xlim=(-0.1, 16), ylim=(6.9, -0.1), aspect="equal", xlabel="C3", ylabel="S2")
    ax.set_xticks(np.arange(16) + 0.46, [str(number) for number in range(16)])
    ax.set_yticks(np.arange(6) + 0.46, [str(number) for number in range(6)])
    ax.tick_params(length=0, labelsize=8, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return figure


def small_filters() -> Figure:
    """A 5x5 kernel has the receptive field of two 3x3 kernels, a 7x7 kernel that of three. Drawn along one side."""
    figure = Figure(figsize=(7.7, 2.6), layout="constrained")
    for number, kernels in enumerate(((5,), (3, 3), (7,), (3, 3, 3))):
        ax = figure.add_subplot(1, 4, number + 1)
        field = ReceptiveField(1, 1, 0)
        for row, kernel in enumerate((1, *reversed(kernels))):
            field = field.through(Window(kernel, 1, kernel // 2, 1))
            for cell in range(-4, 5):
                inside = abs(cell) <= field.size // 2
                ax.add_patch(Rectangle((cell, row), 0.9, 0.6, color=(WRONG if row == 0 else RIGHT) if inside else CELL))
        weights = " + ".join(f"{kernel}²" for kernel in kernels)
        total = sum(kernel**2 for kernel in kernels)
        ax.set_title(f"{weights} = {total}" if len(kernels) > 1 else f"{weights[:-1]}² = {total}", fontsize=10)
        ax.text(0.45, len(kernels) + 1.1, str(field.size), ha="center", color=RIGHT)
        ax.set(xlim=(-4.2, 5.2), ylim=(4.4, -0.3))
        ax.axis("off")
    return figure


def blocks() -> Figure:
    """The blocks of VGG, GoogLeNet, ResNet, DenseNet and SENet, from the input above to the output below."""
    figure = Figure(figsize=(8.4, 3.1), layout="constrained")
    axes = [figure.add_subplot(1, 5, number + 1) for number in range(5)]
    _draw_column(axes[0], "VGG", ("3x3", "3x3"))
    _draw_inception(axes[1])
    _draw_column(axes[2], "ResNet", ("1x1", "3x3", "1x1"), "+")
    _draw_column(axes[3], "DenseNet", ("1x1", "3x3"), "concat")
    _draw_squeeze(axes[4])
    return figure


def accuracy_operations() -> Figure:
    """Top-1 accuracy against multiply-adds of one image, area by parameters; published results from the cards."""
    figure = Figure(figsize=(8.6, 6), layout="constrained")
    ax = figure.add_subplot()
    for name, (right, up) in LABELS.items():
        card = models.card(name)
        if card.macs is None or card.top1_error is None or card.parameters is None:
            raise ValueError(f"The card of {name} lacks a published result that the figure needs.")
        spot = card.macs / 1e9, 100 - card.top1_error
        color = WRONG if "ten crops" in card.evaluation else RIGHT
        ax.scatter(*spot, s=card.parameters / 1e5, color=color, alpha=0.45, linewidth=0)
        ax.annotate(name, spot, (right, up), textcoords="offset points", fontsize=8.5, color=INK)
    for parameters in (5, 50, 100):
        ax.scatter([], [], s=parameters * 10, color=MUTED, alpha=0.45, linewidth=0, label=f"{parameters} M")
    ax.legend(frameon=False, loc="lower right", labelspacing=1.6, borderpad=1.4, handletextpad=1.4)
    ax.set(xlabel="10⁹ multiply-adds", ylabel="top-1, %", xlim=(-0.8, 23.5), ylim=(55, 84))
    ax.grid(color=LINE, linewidth=0.5)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


LABELS: dict[str, tuple[int, int]] = {  # networks of the figure, and the offset of their names in points
    "alexnet": (14, 6), "caffenet": (14, -12), "zfnet": (14, 4),
    "vgg11": (18, -4), "vgg13": (18, -6), "vgg16": (-12, 20), "vgg19": (18, 6),
    "bn_inception": (-34, 9), "resnet34": (10, -5), "resnet50": (-50, 4), "resnet101": (4, -18),
    "resnet152": (17, -12), "inception_v4": (2, 14), "inception_resnet_v2": (-52, 14),
    "densenet121": (-14, -15), "densenet201": (10, -2), "resnext50": (-54, 6), "resnext101": (12, -8),
    "resnext101_64x4d": (16, -12), "se_resnext50": (-24, 16), "se_resnet152": (17, 4), "senet154": (-22, 22),
}  # fmt: skip


def _draw_table(
    figure: Figure, where: tuple[int, int, int], values: Array, selection: tuple[int | slice, int | slice], color: str
) -> Axes:
    """A table of numbers, a column or row of which is highlighted."""
    ax = figure.add_subplot(*where)
    chosen = np.zeros(values.shape, bool)
    chosen[selection] = True
    for (row, column), value in np.ndenumerate(values):
        here = bool(chosen[row, column])
        ax.add_patch(Rectangle((column, row), 0.94, 0.94, color=color if here else CELL))
        text = f"{value:g}" if values is SLIDE else f"{round(value, 1) + 0.0:.1f}"
        ax.text(column + 0.47, row + 0.5, text, ha="center", va="center", fontsize=8, color=PAPER if here else MUTED)
    ax.set(xlim=(-0.1, 10.1), ylim=(10.1, -0.1), aspect="equal")
    ax.axis("off")
    return ax


def _box(ax: Axes, middle: tuple[float, float], text: str, color: str = CELL, width: float = 0.9) -> None:
    x, y = middle
    ax.add_patch(FancyBboxPatch((x - width / 2, y - 0.25), width, 0.5, "round,pad=0.02", fc=color, ec=LINE))
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5, color=PAPER if color in (RIGHT, WRONG) else INK)


def _arrow(ax: Axes, spots: Sequence[tuple[float, float]]) -> None:
    """A line through the points with an arrowhead at the last one."""
    for start, end in pairwise(spots[:-1]):
        ax.plot(*zip(start, end, strict=True), color=MUTED, linewidth=1.2)
    ax.annotate("", spots[-1], spots[-2], arrowprops={"arrowstyle": "->", "color": MUTED, "linewidth": 1.2})


def _finish(ax: Axes, title: str) -> None:
    ax.set_title(title, fontsize=11)
    ax.set(xlim=(-2.6, 2.6), ylim=(-4.2, 1.1))
    ax.axis("off")


def _draw_column(ax: Axes, title: str, layers: Sequence[str], joined: str = "") -> None:
    """Layers below one another, and a shortcut around them to where both meet."""
    for number, text in enumerate(layers):
        _arrow(ax, [(0, 0.9 - number if number == 0 else 0.75 - number), (0, 0.27 - number)])
        _box(ax, (0, -number), text)
    last = -len(layers)
    _arrow(ax, [(0, 0.75 + last), (0, 0.27 + last if joined else 0.2 + last)])
    if joined:
        _box(ax, (0, last), joined, WRONG, 0.5 if joined == "+" else 1.4)
        side = 0.27 if joined == "+" else 0.72
        _arrow(ax, [(0, 0.7), (1.5, 0.7), (1.5, last), (side, last)])
        _arrow(ax, [(0, last - 0.25), (0, last - 0.8)])
    _finish(ax, title)


def _draw_inception(ax: Axes) -> None:
    """Four branches, 1x1 convolutions before the large ones, one concatenation."""
    branches = (("1x1",), ("1x1", "3x3"), ("1x1", "5x5"), ("pool", "1x1"))
    for number, layers in enumerate(branches):
        x = -1.8 + 1.2 * number
        _arrow(ax, [(0, 0.95), (x, 0.27)])
        for row, text in enumerate(layers):
            _box(ax, (x, -row), text, RIGHT if text == "1x1" else CELL)
            _arrow(ax, [(x, -row - 0.27), (x, -row - 0.75 if row + 1 < len(layers) else -1.75)])
    _box(ax, (0, -2), "concat", WRONG, 4.5)
    _arrow(ax, [(0, -2.27), (0, -2.8)])
    _finish(ax, "GoogLeNet")


def _draw_squeeze(ax: Axes) -> None:
    """Global mean, two small layers and a gate for each channel, next to the maps that it scales."""
    _arrow(ax, [(0, 0.9), (0, -2.73)])
    _arrow(ax, [(0, 0.6), (1.2, 0.6), (1.2, 0.27)])
    for row, text in enumerate(("mean", "C/16", "C σ")):
        _box(ax, (1.2, -float(row)), text, RIGHT, 1.4)
        if row < 2:
            _arrow(ax, [(1.2, -row - 0.27), (1.2, -row - 0.73)])
    _arrow(ax, [(1.2, -2.27), (1.2, -3), (0.27, -3)])
    _box(ax, (0, -3), "×", WRONG, 0.5)
    _arrow(ax, [(0, -3.27), (0, -3.8)])
    _finish(ax, "SENet")


FIGURES: dict[str, Callable[[], Figure]] = {
    "normalization_axes.svg": normalization_axes,
    "normalized_depth.svg": normalized_depth,
    "response.svg": response,
    "lenet_table.svg": lenet_table,
    "small_filters.svg": small_filters,
    "blocks.svg": blocks,
    "accuracy_operations.svg": accuracy_operations,
}
