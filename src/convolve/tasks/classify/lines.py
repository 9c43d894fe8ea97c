"""An evaluation as lines and tables for the command line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.reports.report import Classes
from convolve.tasks.classify.evaluation import Evaluation

_WIDEST_MATRIX = 15
_SHOWN_CLASSES = 30
_LABELS = {
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "average_precision": "mean average precision",
    "roc_auc": "ROC AUC",
    "exact_match": "exact match",
    "macro_f1": "macro F1",
}


def shown(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline figures, the confusion matrix where it is small enough to print, and the classes' own figures."""
    classes, figures = evaluation.classes, evaluation.figures
    for name, label in _LABELS.items():
        if name in figures:
            share = f"{figures[name]:.1%}".replace("%", " %")
            yield Text(f"{evaluation.split} {label} {share}", style="bold" if name == "accuracy" else "")
    if classes.matrix is not None and len(classes.names) <= _WIDEST_MATRIX:
        yield "confusion matrix: rows are truths, columns predictions"
        yield _matrix(classes)
    yield _per_class(classes)
    calibration = evaluation.calibration
    if calibration.after and calibration.temperature:
        yield (
            f"calibration error {calibration.before.error:.1%}, {calibration.after.error:.1%} "
            f"with temperature {calibration.temperature:.2f}"
        )
    if calibration.reject and calibration.wanted:
        yield (
            f"for {calibration.wanted:.0%} accuracy on validation answer only from confidence "
            f"{calibration.reject.threshold:.2f} on, which keeps {calibration.reject.coverage:.0%} of the images"
        )


def _matrix(classes: Classes) -> Table:
    table = Table(box=None)
    table.add_column("")
    for name in classes.names:
        table.add_column(Text(name), justify="right")
    for place, (name, row) in enumerate(
        zip(classes.names, classes.matrix if classes.matrix is not None else [], strict=True)
    ):
        cells = [Text(str(count), style=_style(count, place == column)) for column, count in enumerate(row.tolist())]
        table.add_row(Text(name), *cells)
    return table


def _style(count: int, diagonal: bool) -> str:
    if not count:
        return "dim"
    return "green" if diagonal else "red"


def _per_class(classes: Classes) -> Table:
    table = Table("class", box=None, header_style="bold")
    for heading in ("precision", "recall", "F1", "images"):
        table.add_column(heading, justify="right")
    own = classes.figures
    for place, name in enumerate(classes.names[:_SHOWN_CLASSES]):
        shares = (f"{column[place]:.1%}" for column in (own.precision, own.recall, own.f1))
        table.add_row(Text(name), *shares, str(own.support[place]))
    if len(classes.names) > _SHOWN_CLASSES:
        table.add_row(f"and {len(classes.names) - _SHOWN_CLASSES} more in the report")
    return table
