"""Small diagrams of modules: branches one below the other, skips as arcs over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from convolve.reports.colors import INK, MUTED, PAPER, RIGHT, WRONG, mix
from convolve.reports.network_outline import Chain, Fork, Growth, Inside, Kind, Operation, Shortcut

FILLS = {
    "convolution": tuple(mix(PAPER, RIGHT, 0.35)),
    "module": tuple(mix(PAPER, RIGHT, 0.75)),
    "pooling": tuple(mix(PAPER, WRONG, 0.45)),
    "dense": tuple(mix(PAPER, INK, 0.3)),
}
SIZE = 9.0
_HEIGHT, _GAP, _ENDS, _GROWN = 15.0, 11.0, 12.0, 4
Draw = Callable[[Axes, float, float], None]
Diagram = tuple[float, float, Draw]
"""Width and height in points, and a function that draws it, given the position of the middle of its left end."""


def width_of(text: str, size: float = SIZE) -> float:
    """The approximate width of a text, in points."""
    return sum(0.34 if letter in " .,/il()" else 0.84 if letter == "×" else 0.62 for letter in text) * size


def diagram(inside: Inside) -> Diagram:
    """Lay a module out, maps entering on the left."""
    match inside:
        case Operation():
            return width_of(inside.text) + 10, _HEIGHT, partial(_operation, inside.kind, inside.text)
        case Chain():
            return _chain([diagram(step) for step in inside.steps])
        case Fork():
            return _fork([diagram(branch) for branch in inside.branches])
        case Shortcut():
            return _shortcut(diagram(inside.branch))
        case Growth():
            return _growth(diagram(inside.layer), f"each adds {inside.growth}:")


def line(axes: Axes, x: float, y: float, to: tuple[float, float], *, arrow: bool = True) -> None:
    """A line, with an arrowhead unless ``arrow`` is False."""
    style = "-|>" if arrow else "-"
    axes.add_patch(
        FancyArrowPatch(
            (x, y), to, arrowstyle=style, mutation_scale=6, color=MUTED, linewidth=0.8, shrinkA=0, shrinkB=0
        )
    )


def _operation(kind: Kind, text: str, axes: Axes, x: float, y: float) -> None:
    width = width_of(text) + 10
    style = "round,pad=0,rounding_size=2.5"
    box = FancyBboxPatch(
        (x, y - _HEIGHT / 2), width, _HEIGHT, style, facecolor=FILLS[kind], edgecolor=MUTED, linewidth=0.5
    )
    axes.add_patch(box)
    axes.text(x + width / 2, y - 0.5, text, ha="center", va="center", fontsize=SIZE)


def _chain(steps: list[Diagram]) -> Diagram:
    def draw(axes: Axes, x: float, y: float) -> None:
        if not steps:
            line(axes, x, y, (x + _GAP, y), arrow=False)
        for index, (width, _, step) in enumerate(steps):
            if index:
                line(axes, x - _GAP, y, (x, y))
            step(axes, x, y)
            x += width + _GAP

    wide = sum(width for width, _, _ in steps) + _GAP * max(len(steps) - 1, 0)
    return max(wide, _GAP), max((height for _, height, _ in steps), default=_HEIGHT), draw


def _fork(branches: list[Diagram]) -> Diagram:
    wide = max(width for width, _, _ in branches)
    high = sum(height for _, height, _ in branches) + 5 * (len(branches) - 1)

    def draw(axes: Axes, x: float, y: float) -> None:
        left, right, top = x + 5, x + wide + 2 * _ENDS - 5, y + high / 2
        for width, height, branch in branches:
            middle = top - height / 2
            start = left + _ENDS - 5
            line(axes, left, middle, (start, middle))
            branch(axes, start, middle)
            line(axes, start + width, middle, (right, middle))
            top -= height + 5
        line(axes, x, y, (left, y), arrow=False)
        axes.plot([left, left], [y - high / 2 + 4, y + high / 2 - 4], color=MUTED, linewidth=0.8)
        axes.plot([right, right], [y - high / 2, y + high / 2], color=INK, linewidth=2.2)

    return wide + 2 * _ENDS, high, draw


def _shortcut(branch: Diagram) -> Diagram:
    wide, high, inner = branch

    def draw(axes: Axes, x: float, y: float) -> None:
        middle, sum_at = y - 7, x + _ENDS + wide + _ENDS
        line(axes, x, middle, (x + _ENDS, middle))
        inner(axes, x + _ENDS, middle)
        line(axes, x + _ENDS + wide, middle, (sum_at - 5, middle))
        over = middle + high / 2 + 10
        bent = Path([(x + 4, middle), (x + 4, over), (sum_at, over), (sum_at, middle + 5)])
        arc = FancyArrowPatch(path=bent, arrowstyle="-|>", mutation_scale=6, color=MUTED, linewidth=0.8)
        axes.add_patch(arc)
        axes.add_patch(Circle((sum_at, middle), 5, facecolor=PAPER, edgecolor=INK, linewidth=0.8))
        axes.text(sum_at, middle - 0.7, "+", ha="center", va="center", fontsize=SIZE)

    return wide + 2 * _ENDS + 5, high + 14, draw


def _growth(layer: Diagram, caption: str) -> Diagram:
    """A few layers, arcs from each to all later ones, and next to them what one layer is."""
    wide, high, inner = layer
    row, text = _GROWN * 30.0, width_of(caption) + 20

    def draw(axes: Axes, x: float, y: float) -> None:
        low = y - 12
        centers = [x + 30 * index for index in range(_GROWN + 1)]
        for index, center in enumerate(centers):
            for later in centers[index + 2 :]:
                top = low + (later - center) * 0.3 + 4
                bow = Path([(center, low + 4), (center, top), (later, top), (later, low + 4)], [1, 4, 4, 4])
                arrow = FancyArrowPatch(path=bow, arrowstyle="-|>", mutation_scale=5, color=MUTED, linewidth=0.7)
                axes.add_patch(arrow)
        for before, after in pairwise(centers):
            line(axes, before + 4, low, (after - 4, low))
        for center in centers:
            axes.add_patch(Circle((center, low), 4, facecolor=FILLS["module"], edgecolor=MUTED, linewidth=0.5))
        axes.text(x + row + 14, y, caption, va="center", fontsize=SIZE, color=MUTED)
        inner(axes, x + row + text, y)

    return row + text + wide, max(high, 54.0), draw
