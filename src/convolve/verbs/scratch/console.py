"""The results of `convolve scratch` on the console: the calculation step by step, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.files import shell_quote
from convolve.from_scratch.filters import FilteredImage
from convolve.from_scratch.traces.layer_examples import WorkedExample
from convolve.from_scratch.traces.trace import (
    Grid,
    Step,
    TermTable,
    Trace,
    format_cell,
    format_equation,
    format_number,
)
from convolve.verbs.scratch import ExerciseFile, HomeworkCheck

_COLUMN_GAP = "    "


def render_examples(examples: Mapping[str, WorkedExample]) -> Iterator[RenderableType]:
    """A table of the examples, and how to run one."""
    table = Table("example", "operation", "what it shows", "slide", box=None, header_style="bold")
    for name, example in examples.items():
        words = name, str(example.options["operation"]), example.title, example.slide
        table.add_row(*map(Text, words))
    if examples:
        yield table
    yield "Run one with `convolve scratch --example mask`, or give your own numbers with --input; see --help."


def render_trace(trace: Trace) -> Iterator[RenderableType]:
    """The input grids; each step with its terms, its equations and where its value goes; the result grids."""
    yield Text(trace.title, style="bold")
    for grid in trace.grids:
        if not grid.result:
            yield from _render_grid(grid)
    for phase in trace.phases:
        yield Text.assemble((f"\n{phase.title}", "bold"), (f"   {phase.formula}", "dim"))
        for step in phase.steps:
            yield from _render_step(step)
    for grid in trace.grids:
        if grid.result:
            yield from _render_grid(grid)


def render_images(photograph: str, images: tuple[FilteredImage, ...]) -> Iterator[RenderableType]:
    """A table of the filters with their kernels, and the range of values that each gave."""
    yield Text(photograph)
    table = Table("filter", "kernel or window", "size", "values", box=None, header_style="bold")
    for image in images:
        kernel = " / ".join(" ".join(map(str, row)) for row in image.kernel or ())
        kernel = f"{image.window}x{image.window}" if image.window else kernel
        height, width = image.image.shape[:2]
        values = f"{format_number(image.value_range[0])} to {format_number(image.value_range[1])}"
        table.add_row(Text(image.name), kernel, f"{height}x{width}", values)
    yield table


def _render_step(step: Step) -> Iterator[Text]:
    yield Text(f"  {step.title}", style="bold cyan")
    tables = [_table_lines(table) for table in step.tables]
    widths = [max(map(len, lines)) for lines in tables]
    for line in zip_longest(*tables, fillvalue=""):
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        yield Text("      " + _COLUMN_GAP.join(cells).rstrip())
    for text in step.equations:
        yield Text(f"    {text}", style="green")
    stamps = step.title.startswith("x") and len(step.outputs) > 1  # an input goes to several cells
    if step.title.startswith("dy") or stamps:  # one gradient goes to several cells
        outputs = ", ".join(f"{format_cell(cell)} = {format_number(value)}" for cell, value in step.outputs)
        yield Text(f"    → {outputs}", style="yellow")


def _table_lines(table: TermTable) -> list[str]:
    """The terms in columns; with a label, it comes above and the total below."""
    rows = [[term.text for term in row] for row in table.rows]
    width = max(len(text) for row in rows for text in row)
    lines = ["  ".join(text.rjust(width) for text in row) for row in rows]
    if not table.label:
        return lines
    return [table.label, *lines, format_equation([table.total], table.total)]


def _render_grid(grid: Grid) -> Iterator[Text]:
    yield Text(f"\n{grid.name}  {grid.title}", style="bold")
    rows = [[format_number(value) for value in row] for row in grid.values]
    width = max(len(text) for row in rows for text in row)
    end = len(rows) - grid.border[0], len(rows[0]) - grid.border[1]
    for i, row in enumerate(rows):
        line = Text(" ")
        for j, text in enumerate(row):
            inside = grid.border[0] <= i < end[0] and grid.border[1] <= j < end[1]
            line.append(f" {text.rjust(width)}", style="" if inside else "dim")
        yield line


def render_homework(result: ExerciseFile | HomeworkCheck) -> Iterator[RenderableType]:
    """Where the file is and how it is checked; or a line for each function, and how many are right."""
    if isinstance(result, ExerciseFile):
        yield Text(f"{result.path} has {result.blanks} blanks, each written as ____. Fill them in, then check it:")
        yield Text(f"  convolve scratch homework {result.exercise} --check {shell_quote(result.path)}")
        return
    for function in result.functions:
        mark, style = ("wrong", "yellow") if function.mistake else ("right", "green")
        yield Text.assemble((f"{mark}  {function.name}", style), f"  {function.mistake}" if function.mistake else "")
    count = sum(not function.mistake for function in result.functions)
    yield Text(f"{count} of {len(result.functions)} functions are right.")
