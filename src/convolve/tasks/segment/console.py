"""A segmentation's evaluation as text and a table for the command line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.reports.report import percent
from convolve.tasks.segment.evaluation import Evaluation
from convolve.tasks.segment.report import headlines

_MOST_CLASSES = 30


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then each class."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("class", box=None, header_style="bold")
    for heading in ("IoU", "boundary F", "pixels"):
        table.add_column(heading, justify="right")
    counts = evaluation.matrix.sum(1)
    for index, name in enumerate(evaluation.names[:_MOST_CLASSES]):
        values = (percent(column[index]) for column in (evaluation.iou, evaluation.boundary))
        table.add_row(Text(name), *values, percent(counts[index] / max(counts.sum(), 1)))
    if len(evaluation.names) > _MOST_CLASSES:
        table.add_row(f"and {len(evaluation.names) - _MOST_CLASSES} more in the report")
    yield table
