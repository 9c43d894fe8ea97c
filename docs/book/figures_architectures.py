"""Whole networks of the chapter on networks, drawn from the tables in `convolve.models`: AlexNet's two towers,
GoogLeNet, VGG-19 next to the plain and the residual network of 34 layers, and a dense block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from drawing import Sheet, arrow, box, sheet, text
from matplotlib.figure import Figure

from convolve.models import alexnet, googlenet, resnet, vgg
from convolve.reports.colors import MUTED, RIGHT, WRONG

Layer = tuple[str, str | None]
"""What is written in a layer, and its color."""
GROWTH, DENSE_LAYERS = 4, 5


def alexnet_towers() -> Figure:
    """The layers of figure 2 with half of the maps on each GPU; a layer in one group reads both halves."""
    on = sheet(25, 7.4)
    halves = [
        (f"{kernel}×{kernel}", width // 2, groups == 1) for (width, kernel, _, _, groups, _), _ in alexnet.FIGURE_2
    ]
    layers = [*halves, ("fc", 2048, True), ("fc", 2048, True)]
    box(on, (0.2, 2.6), (2.2, 2.2))
    text(on, (1.3, 3.7), "227×227", size=8)
    ys = (0.9, 4.3)
    for index, (kernel, width, _) in enumerate(layers):
        x = 3.4 + 2.8 * index
        for y in ys:
            box(on, (x, y), (1.9, 2.2), RIGHT if kernel != "fc" else None)
            text(on, (x + 0.95, y + 0.75), kernel, size=8.5)
            text(on, (x + 0.95, y + 1.5), str(width), size=8.5)
    for y in ys:
        arrow(on, (2.4, 3.7), (3.4, y + 1.1))
    for index, (_, _, crossing) in enumerate(layers[1:], 1):
        x = 3.4 + 2.8 * index
        for y in ys:
            arrow(on, (x - 0.9, y + 1.1), (x, y + 1.1))
            if crossing:
                arrow(on, (x - 0.9, ys[0] + ys[1] - y + 1.1), (x, y + 1.1), WRONG)
    end = 3.4 + 2.8 * len(layers)
    for y in ys:
        arrow(on, (end - 0.9, y + 1.1), (end, 3.7))
    box(on, (end, 2.6), (1.7, 2.2))
    text(on, (end + 0.85, 3.7), "1000", size=8.5)
    text(on, (1.3, 2.0), "GPU 1", MUTED, 8)
    text(on, (1.3, 5.4), "GPU 2", MUTED, 8)
    return on.figure


def whole_googlenet() -> Figure:
    """Stem, nine modules with the widths of Table 1, both auxiliary classifiers, and the head."""
    on = sheet(29, 17.4)
    stem = ("7×7/2\n64", "pool/2", "1×1\n64", "3×3\n192", "pool/2")
    spots: list[tuple[float, float]] = []
    for index, words in enumerate(stem):
        _small(on, (0.3 + 2.2 * index, 2.2), words)
        spots.append((0.3 + 2.2 * index, 1.8))
    for left, right in pairwise(spots):
        arrow(on, (left[0] + 1.8, 3.0), (right[0], 3.0))
    arrow(on, (10.9, 3.0), (11.6, 3.0))
    places = {"stage3": (11.6, 0.6), "stage4": (0.3, 6.6), "stage5": (3.0, 12.4)}
    for stage, (x, y) in places.items():
        for index, (name, row) in enumerate(googlenet.TABLE_1[stage].items()):
            _module(on, (x + 5.7 * index, y), name.removeprefix("inception"), row)
            if index:
                arrow(on, (x + 5.7 * index - 0.7, y + 2.4), (x + 5.7 * index, y + 2.4))
            if name in googlenet.AUXILIARY:
                arrow(on, (x + 5.7 * index + 2.5, y + 4.7), (x + 5.7 * index + 2.5, y + 5.2), WRONG)
                number = list(googlenet.AUXILIARY).index(name)
                text(on, (x + 5.7 * index + 2.5, y + 5.5), f"softmax {number}", WRONG, 8.5)
    _small(on, (23.2, 2.2), "pool/2")
    arrow(on, (22.3, 3.0), (23.2, 3.0))
    for x, words in ((0.3, "pool/2"), (14.6, "mean\n7×7"), (17.3, "fc\n1000")):
        _small(on, (x, 14.0), words)
        arrow(on, (x + 1.8, 14.8), (x + 2.7, 14.8))
    arrow(on, (13.7, 14.8), (14.6, 14.8))
    text(on, (21.4, 14.8), "softmax 2", WRONG, 8.5)
    return on.figure


def plain_residual_vgg() -> Figure:
    """VGG-19 and the 34-layer networks of figure 3 of the ResNet paper; one box for each layer with weights."""
    on = sheet(29, 11.6)
    blocks = resnet.TABLE_1[34]
    plain: list[Layer] = [("7×7", None)]
    for stage, (width, count) in enumerate(zip(vgg.WIDTHS, blocks, strict=False)):
        plain += [(str(width), RIGHT if stage % 2 == 0 else WRONG)] * (2 * count)
    plain.append(("fc", None))
    vgg19: list[Layer] = []
    for stage, (width, layers) in enumerate(zip(vgg.WIDTHS, vgg.TABLE_1["E"], strict=True)):
        vgg19 += [(str(width), RIGHT if stage % 2 == 0 else WRONG)] * len(layers)
    _row(on, 0.6, "VGG-19", [*vgg19, ("fc", None), ("fc", None), ("fc", None)])
    _row(on, 4.3, "34, plain", plain)
    _row(on, 8.4, "34, residual", plain)
    for block in range(sum(blocks)):
        start = _left(1 + 2 * block) - 0.12
        _arc(on, (start, 8.3), (start + 2 * STEP, 8.3))
    return on.figure


STEP = 0.72
"""Cells from one layer of a row to the next."""


def dense_block() -> Figure:
    """A block of five layers, growth rate 4: each layer reads all maps before it."""
    on = sheet(22.2, 6.0)
    xs = [0.4 + 4.0 * index for index in range(DENSE_LAYERS + 1)]
    for index, x in enumerate(xs):
        name = "x₀" if index == 0 else f"x{chr(0x2080 + index)}"
        box(on, (x, 3.2), (1.4, 1.4), RIGHT if index else None)
        text(on, (x + 0.7, 3.9), name)
        text(on, (x + 0.7, 5.2), "k₀" if index == 0 else str(GROWTH), MUTED, 8.5)
    for target in range(1, DENSE_LAYERS + 1):
        x = xs[target] - 1.5
        box(on, (x, 3.35), (0.9, 1.1), WRONG)
        text(on, (x + 0.45, 3.9), f"H{chr(0x2080 + target)}", size=8)
        read = f"k₀ + {GROWTH * (target - 1)}" if target > 1 else "k₀"
        text(on, (x + 0.45, 5.2), read, WRONG, 8)
        arrow(on, (xs[target - 1] + 1.4, 3.9), (x, 3.9))
        arrow(on, (x + 0.9, 3.9), (xs[target], 3.9))
        for source in range(target - 1):
            _arc(on, (xs[source] + 0.7, 3.2), (x + 0.45, 3.35))
    return on.figure


def _left(index: int) -> float:
    return 2.9 + STEP * index


def _row(on: Sheet, y: float, title: str, layers: Sequence[Layer]) -> None:
    """Layers as narrow boxes, with their widths standing upright."""
    text(on, (1.3, y + 1.2), title, size=8.5)
    for index, (words, color) in enumerate(layers):
        box(on, (_left(index), y), (0.5, 2.4), color)
        on.axes.text(_left(index) + 0.25, y + 1.2, words, rotation=90, fontsize=7, ha="center", va="center", zorder=4)


def _arc(on: Sheet, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A bent arrow above what lies between two points."""
    way = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    way["connectionstyle"] = "arc3,rad=-0.32"
    on.axes.annotate("", xy=end, xytext=start, arrowprops=way, zorder=2)


def _small(on: Sheet, at: tuple[float, float], words: str) -> None:
    box(on, at, (1.8, 1.6))
    text(on, (at[0] + 0.9, at[1] + 0.8), words, size=7.5)


def _module(on: Sheet, at: tuple[float, float], name: str, row: googlenet.Row) -> None:
    """Four branches below one another, with the widths of their layers, and how many maps they give together."""
    x, y = at
    one, reduce3, three, reduce5, five, project = row
    total = one + three + five + project
    box(on, (x, y), (5.0, 4.7))
    text(on, (x + 1.0, y + 0.5), name, size=9)
    text(on, (x + 3.7, y + 0.5), str(total), WRONG, 8.5)
    branches = (("1×1", one), ("3×3", three), ("5×5", five), ("pool", project))
    before = (None, reduce3, reduce5, None)
    for index, ((kernel, width), reduced) in enumerate(zip(branches, before, strict=True)):
        top = y + 1.0 + 0.9 * index
        words = f"{kernel} · {width}" if kernel != "pool" else f"1×1 · {width}"
        if reduced or kernel == "pool":
            box(on, (x + 0.15, top), (2.1, 0.75), RIGHT if reduced else None)
            text(on, (x + 1.2, top + 0.37), f"1×1 · {reduced}" if reduced else "pool", size=7)
        box(on, (x + 2.5, top), (2.35, 0.75), RIGHT if words.startswith("1×1") else WRONG)
        text(on, (x + 3.67, top + 0.37), words, size=7)


FIGURES: dict[str, Callable[[], Figure]] = {
    "alexnet-towers.svg": alexnet_towers,
    "googlenet-whole.svg": whole_googlenet,
    "plain-residual-vgg.svg": plain_residual_vgg,
    "dense-block.svg": dense_block,
}
