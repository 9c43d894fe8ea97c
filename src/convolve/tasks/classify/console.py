"""An evaluation as text and tables for the command line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.reports.report import count_of, format_interval, percent
from convolve.tasks.classify.evaluation import ClassResults, Evaluation
from convolve.tasks.classify.report import headlines

_LARGEST_MATRIX = 15
_MOST_CLASSES = 30


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, the confusion matrix where it is small enough to print, each class, and the calibration."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    classes, calibration = evaluation.classes, evaluation.calibration
    if classes.matrix is not None and len(classes.names) <= _LARGEST_MATRIX:
        yield "confusion matrix: rows are true classes, columns predicted classes"
        yield _matrix(classes.names, classes.matrix.tolist())
    yield _class_table(classes)
    yield (
        f"calibration error {percent(calibration.before.error)}, {percent(calibration.after.error)} "
        f"with temperature {calibration.temperature:.2f}"
    )
    if reject := calibration.reject:
        yield (
            f"rejecting images below a confidence of {reject.threshold:.2f} leaves "
            f"{count_of(reject.images, 'validation images')} ({percent(reject.coverage)}), of which "
            f"{percent(reject.accuracy)} are right ({format_interval(reject.interval)})"
        )


def _matrix(names: tuple[str, ...], rows: list[list[int]]) -> Table:
    table = Table(box=None)
    table.add_column("")
    for name in names:
        table.add_column(Text(name), justify="right")
    for index, (name, row) in enumerate(zip(names, rows, strict=True)):
        styles = ("dim" if not count else "green" if column == index else "red" for column, count in enumerate(row))
        table.add_row(Text(name), *(Text(str(count), style) for count, style in zip(row, styles, strict=True)))
    return table


def _class_table(classes: ClassResults) -> Table:
    table = Table("class", box=None, header_style="bold")
    for heading in ("precision", "recall", "F1", "images"):
        table.add_column(heading, justify="right")
    metrics = classes.metrics
    for index, name in enumerate(classes.names[:_MOST_CLASSES]):
        values = (percent(column[index]) for column in (metrics.precision, metrics.recall, metrics.f1))
        table.add_row(Text(name), *values, str(metrics.support[index]))
    if len(classes.names) > _MOST_CLASSES:
        table.add_row(f"and {len(classes.names) - _MOST_CLASSES} more in the report")
    return table
