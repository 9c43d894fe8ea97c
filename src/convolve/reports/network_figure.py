"""A network drawn from left to right: maps as blocks, their side as height and their channels as thickness."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from convolve.fonts import plot_label
from convolve.models import Network
from convolve.reports.colors import MUTED, PAPER
from convolve.reports.drawing import style
from convolve.reports.network_insides import FILLS, SIZE, Diagram, diagram, line, width_of
from convolve.reports.network_outline import GATE, Inside, Part, Shortcut, outline, without_strides
from convolve.summary import Summary

_TALL, _SLABS, _BETWEEN, _LINE = 130.0, 4, 26.0, 13.0
_MARGIN, _WIDEST = 18.0, 1100.0
_TOWERS = 2


@dataclass(frozen=True)
class _Column:
    """A stage: its title, its parts and their texts, and the widths of its blocks and of all of it, in points.

    ``tower`` is the distance of two towers from the middle, 0 where there is one; ``crosses`` says whether each tower
    reads the maps of both before it.
    """

    title: str
    below: str
    parts: Sequence[Part]
    texts: Sequence[str]
    blocks: float
    width: float
    tower: float = 0.0
    crosses: bool = False


def network_figure(network: Network, summary: Summary) -> Figure:
    """Stages in order, then the head; below them the insides of their modules. Heights and thicknesses are on a square
    root scale. Stages up to the last one that has a convolution in two groups are drawn as two towers.
    """
    parts, image = outline(network, summary), summary.layers[0].input
    letters = _letters([part for stage in parts.values() for part in stage])
    columns = [_column("input", "", [Part("dense", "", image)], letters)]
    for name, found in parts.items():
        stride = f"stride {network.strides[name]}" if name in network.strides else ""
        columns += [_column(name, stride, found, letters)] if found else []
    columns = _with_towers(columns, image)
    insides = _positions([(title, diagram(inside)) for title, inside in _titles(parts, letters)])
    wide = sum(column.width for column in columns) + _BETWEEN * (len(columns) - 1) + 2 * _MARGIN
    wide = max(wide, *(x + drawn[0] + _MARGIN for x, _, _, drawn in insides), 360) if insides else max(wide, 360)
    below = max((-y + drawn[1] for _, y, _, drawn in insides), default=0.0)
    lines = max(len(column.texts) for column in columns)
    bottom = -_TALL / 2 - 30 - _LINE * lines
    figure, axes = _canvas(wide, bottom - below - 20, _TALL / 2 + 74)
    with style():
        axes.text(_MARGIN, _TALL / 2 + 56, _headline(network, summary), fontsize=12, va="center")
        _draw_columns(axes, columns, image)
        for x, y, title, (_, high, draw) in insides:
            axes.text(x, bottom + y + 4, title, fontsize=SIZE, color=MUTED, va="center")
            draw(axes, x, bottom + y - 10 - high / 2)
    return figure


def _canvas(wide: float, low: float, high: float) -> tuple[Figure, Axes]:
    """A figure whose data coordinates are points."""
    with style():
        figure = Figure(figsize=(wide / 72, (high - low) / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, wide), ylim=(low, high))
        axes.set_axis_off()
        axes.add_patch(Polygon([(0, low), (wide, low), (wide, high), (0, high)], facecolor=PAPER, zorder=-1))
    return figure, axes


def _headline(network: Network, summary: Summary) -> str:
    card = network.card
    name = f"{plot_label(network.label, 60)} ({card.year})" if card.year else plot_label(network.label, 60)
    return f"{name}: {_short(summary.parameters)} parameters, {_short(summary.macs)} multiply-adds"


def _short(count: int) -> str:
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return str(count)


def _column(title: str, below: str, parts: Sequence[Part], letters: dict[Inside, str]) -> _Column:
    texts = [_text(part, letters) for part in parts]
    blocks = sum(_group(part) for part in parts) + 10 * (len(parts) - 1)
    space = max(
        *(width_of(text) + 10 for text in texts), width_of(title) + 4, width_of(_shape(parts[-1].shape)), blocks
    )
    return _Column(title.replace("stage", "stage "), below, parts, texts, blocks, space)


def _with_towers(columns: Sequence[_Column], image: tuple[int, ...]) -> list[_Column]:
    """The columns, those from the first stage to the last one with a convolution in two groups as towers."""
    last = max((i for i, column in enumerate(columns) if any(p.groups == _TOWERS for p in column.parts)), default=0)
    distance = max(
        (0.27 * _high(part, image) + 6 for column in columns[1 : last + 1] for part in column.parts), default=0
    )
    return [
        replace(column, tower=distance, crosses=column.parts[0].groups == 1) if 0 < index <= last else column
        for index, column in enumerate(columns)
    ]


def _text(part: Part, letters: dict[Inside, str]) -> str:
    letter = letters.get(without_strides(part.inside), "") if part.inside else ""
    counted = f"{part.count} × " if part.count > 1 else ""
    channels = f", {part.shape[0]}" if part.kind == "convolution" or isinstance(part.inside, Shortcut) else ""
    return f"{counted}{part.text}{f' {letter}' if letter else ''}{channels}"


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _thick(part: Part) -> float:
    return 5.0 if part.kind == "dense" else 3 + 0.5 * math.sqrt(part.shape[0])


def _group(part: Part) -> float:
    """Width of a part's blocks."""
    return min(part.count, _SLABS) * (_thick(part) + 3) - 3


def _draw_columns(axes: Axes, columns: Sequence[_Column], image: tuple[int, ...]) -> None:
    x = _MARGIN
    for index, column in enumerate(columns):
        middle = x + column.width / 2
        axes.text(middle, _TALL / 2 + 34, column.title, ha="center", fontsize=SIZE + 1)
        axes.text(middle, _TALL / 2 + 22, column.below, ha="center", fontsize=SIZE, color=MUTED)
        axes.text(middle, -_TALL / 2 - 14, _shape(column.parts[-1].shape), ha="center", fontsize=SIZE)
        _draw_parts(axes, column, middle - column.blocks / 2, image)
        for number, (text, part) in enumerate(zip(column.texts, column.parts, strict=True)):
            left = middle - width_of(text) / 2
            y = -_TALL / 2 - 30 - _LINE * number
            if text:
                axes.plot(
                    [left - 6], [y + 3.3], "s", color=FILLS[part.kind], markersize=5, markeredgecolor=MUTED, mew=0.4
                )
                axes.text(left, y, text, fontsize=SIZE)
        if index:
            for start, end in _connections(columns[index - 1], column):
                line(axes, x - _BETWEEN + 4, start, (x - 4, end))
        x += column.width + _BETWEEN


def _connections(before: _Column, column: _Column) -> Iterator[tuple[float, float]]:
    """The heights at which lines leave a column and reach the next one."""
    starts, ends = (sorted({each.tower, -each.tower}) for each in (before, column))
    for start in starts:
        for end in ends:
            if start == end or len(starts) != len(ends) or column.crosses:
                yield start, end


def _draw_parts(axes: Axes, column: _Column, x: float, image: tuple[int, ...]) -> None:
    for part in column.parts:
        high, thick = _high(part, image), _thick(part)
        for _ in range(min(part.count, _SLABS)):
            for middle in {column.tower, -column.tower}:
                tall = 0.46 * high if column.tower else high
                _block(axes, (x, middle), (thick, tall), FILLS[part.kind], flat=len(part.shape) == 1)
            x += thick + 3
        if part.count > _SLABS:
            axes.text(x - _group(part) / 2, high / 2 + 0.16 * high + 5, f"×{part.count}", ha="center", fontsize=SIZE)
        x += 7


def _high(part: Part, image: tuple[int, ...]) -> float:
    """Height of a block: the square root of the map's side over the image's; of a vector, the logarithm of its size."""
    if len(part.shape) == 1:
        return 10 + 14 * math.log10(max(part.shape[0], 1))
    return max(_TALL * math.sqrt(min(1.0, part.shape[1] / image[1])) * 0.85, 8.0)


def _block(
    axes: Axes, position: tuple[float, float], size: tuple[float, float], fill: tuple[float, ...], *, flat: bool
) -> None:
    """A slab seen from the front and a little from the right; ``flat`` for a vector. Its ``position`` is the middle of
    its left edge, its ``size`` (thickness, height).
    """
    (x, middle), (thick, high) = position, size
    low, top = middle - high / 2, middle + high / 2
    right, up = (0.0, 0.0) if flat else (0.14 * high, 0.12 * high)
    faces = [
        ([(x, low), (x + thick, low), (x + thick, top), (x, top)], 0.0),
        ([(x, top), (x + thick, top), (x + thick + right, top + up), (x + right, top + up)], -0.35),
        ([(x + thick, low), (x + thick + right, low + up), (x + thick + right, top + up), (x + thick, top)], 0.18),
    ]
    for corners, shade in faces[: 1 if flat else 3]:
        color = [value + (1 - value) * -shade if shade < 0 else value * (1 - shade) for value in fill]
        axes.add_patch(Polygon(corners, facecolor=color, edgecolor=MUTED, linewidth=0.5))


def _letters(parts: Sequence[Part]) -> dict[Inside, str]:
    """A letter for every module that shares its name with another module, by what is inside."""
    insides: dict[str, list[Inside]] = {}
    for part in parts:
        if part.inside and (inside := without_strides(part.inside)) not in insides.setdefault(part.name, []):
            insides[part.name].append(inside)
    return {
        inside: chr(ord("A") + index)
        for alike in insides.values()
        if len(alike) > 1
        for index, inside in enumerate(alike)
    }


def _titles(parts: dict[str, list[Part]], letters: dict[Inside, str]) -> Iterator[tuple[str, Inside]]:
    """The title and the inside of every module, each once."""
    drawn: set[Inside] = set()
    for part in (part for stage in parts.values() for part in stage):
        key = part.inside and without_strides(part.inside)
        if key and part.inside and key not in drawn and part.inside != GATE:
            drawn.add(key)
            yield f"{part.name} {letters.get(key, '')}".strip(), part.inside


def _positions(insides: Sequence[tuple[str, Diagram]]) -> list[tuple[float, float, str, Diagram]]:
    """Diagrams in rows no wider than a slide: their left end, and how far below the columns their title is."""
    found: list[tuple[float, float, str, Diagram]] = []
    x, y, row = _MARGIN, -14.0, 0.0
    for title, drawn in insides:
        if x > _MARGIN and x + drawn[0] > _WIDEST:
            x, y, row = _MARGIN, y - row - 40, 0.0
        found.append((x, y, title, drawn))
        x += max(drawn[0], width_of(title)) + 34
        row = max(row, drawn[1])
    return found
