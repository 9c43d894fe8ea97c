"""The sums as a teacher writes them on the board, in lines for the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.from_scratch.photographs import Version
from convolve.from_scratch.steps.example import Example
from convolve.from_scratch.steps.values import Block, Grid, Step, Walk
from convolve.from_scratch.steps.wording import called, equation, number

_BESIDE = "    "


def examples_shown(examples: Mapping[str, Example]) -> Iterator[RenderableType]:
    """A table of the examples, and how to see one."""
    table = Table("example", "operation", "what it shows", "slide", box=None, header_style="bold")
    for name, example in examples.items():
        words = name, str(example.options["operation"]), example.title, example.slide
        table.add_row(*map(Text, words))
    if examples:
        yield table
    yield "See one with `convolve scratch --example mask`, or give your own numbers with --input; --help says how."


def walk_shown(walk: Walk) -> Iterator[RenderableType]:
    """What goes in, then every step: the window's products, the sum, and where it goes; then what came out."""
    yield Text(walk.title, style="bold")
    yield from _grids(walk, made=False)
    for part in walk.parts:
        yield Text.assemble((f"\n{part.title}", "bold"), (f"   {part.formula}", "dim"))
        for step in part.steps:
            yield from _step(step)
    yield from _grids(walk, made=True)


def versions_shown(photograph: str, versions: tuple[Version, ...]) -> Iterator[RenderableType]:
    """A table of the filters with their kernels, and the values that they gave."""
    yield Text(photograph)
    table = Table("version", "kernel or window", "picture", "values", box=None, header_style="bold")
    for version in versions:
        how = " / ".join(" ".join(map(str, row)) for row in version.kernel or ())
        how = f"{version.window}x{version.window}" if version.window else how
        height, width = version.picture.shape[:2]
        span = f"{number(version.span[0])} to {number(version.span[1])}"
        table.add_row(Text(version.name), how, f"{height}x{width}", span)
    yield table


def _step(step: Step) -> Iterator[Text]:
    yield Text(f"  {step.title}", style="bold cyan")
    if step.blocks:
        for line in zip_longest(*map(_lines, step.blocks)):
            widths = [max(map(len, _lines(block))) for block in step.blocks]
            cells = ((text or "").ljust(width) for text, width in zip(line, widths, strict=True))
            yield Text("      " + _BESIDE.join(cells).rstrip())
    for text in step.sums:
        yield Text(f"    {text}", style="green")
    if step.title.startswith("dy"):
        flows = ", ".join(f"{called(cell)} = {number(value)}" for cell, value in step.written)
        yield Text(f"    → {flows}", style="yellow")


def _lines(block: Block) -> list[str]:
    """The block's terms in columns, under its label where it has one, and its total."""
    rows = [[term.text for term in row] for row in block.rows]
    width = max(len(text) for row in rows for text in row)
    lines = ["  ".join(text.rjust(width) for text in row) for row in rows]
    if not block.label:
        return lines
    return [block.label, *lines, equation([block.total], block.total)]


def _grids(walk: Walk, *, made: bool) -> Iterator[Text]:
    for grid in walk.grids:
        if grid.made == made:
            yield Text(f"\n{grid.name}  {grid.title}", style="bold")
            yield from _matrix(grid)


def _matrix(grid: Grid) -> Iterator[Text]:
    words = [[number(value) for value in row] for row in grid.values]
    width = max(len(word) for row in words for word in row)
    last = len(words) - grid.border[0], len(words[0]) - grid.border[1]
    for i, row in enumerate(words):
        line = Text(" ")
        for j, word in enumerate(row):
            inside = grid.border[0] <= i < last[0] and grid.border[1] <= j < last[1]
            line.append(f" {word.rjust(width)}", style="" if inside else "dim")
        yield line
