"""The report as one self-contained HTML file: nothing is fetched, nothing but its own script may run."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from convolve.files import write_bytes
from convolve.metrics.confusion import Shares, macro, weighted
from convolve.metrics.ranking import mean_defined
from convolve.reports.assets import asset, environment
from convolve.reports.drawing import as_svg
from convolve.reports.figures import panels, reliability_figure, row_shares, training_curves
from convolve.reports.heatmaps import ramp_uri
from convolve.reports.report import Calibration, Classes, Example, Report, Training
from convolve.values import Indices

_COUNTED = 20
_LARGEST = 200
_PAIRS = 12
_BYTES = 6_000_000


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix: its classes, how many images, their share of the row, the depth of its color
    in per cent.
    """

    truth: int
    predicted: int
    count: int
    share: float
    depth: int


def write_report(path: Path, report: Report) -> None:
    """Write the page as UTF-8, beside its place and renamed. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render(report).encode("utf-8", "replace"))


def render(report: Report) -> str:
    """The page's HTML. Pictures that would take it beyond 6 MB are left out, those of examples first."""
    script = asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    mistakes = within(report.mistakes, _BYTES)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            classes=report.classes,
            names=report.classes.names,
            mistakes=mistakes,
            examples=within(report.examples, _BYTES - sum(example.size for example in mistakes)),
            ramp=ramp_uri(report.heat.signed) if report.heat else "",
            rows=cells(report.classes),
            pixels=report.classes.counted == "pixels",
            counted=len(report.classes.names) <= _COUNTED,
            short=all(len(name) <= 3 for name in report.classes.names),
            pairs=confused(report.classes),
            columns=columns(report.classes),
            averages=averages(report.classes),
            curves=_curves(report.training),
            reliability=_reliability(report.calibration),
            style=Markup(asset("report.css")),  # noqa: S704 - the package's own file
            script=Markup(script),  # noqa: S704 - the package's own file
            digest=digest,
        )
    )


def cells(classes: Classes) -> tuple[tuple[Cell, ...], ...]:
    """The rows of the confusion matrix; none where there is no matrix, or more than 200 classes."""
    if classes.matrix is None or len(classes.names) > _LARGEST:
        return ()
    size = range(len(classes.names))
    shares = row_shares(classes.matrix)
    return tuple(tuple(_cell(classes.matrix, shares, row, column) for column in size) for row in size)


def confused(classes: Classes, most: int = _PAIRS) -> tuple[Cell, ...]:
    """The cells beside the diagonal that hold the most images, fullest first."""
    if classes.matrix is None:
        return ()
    shares = row_shares(classes.matrix)
    wrong = np.where(np.eye(len(classes.names), dtype=bool), 0, classes.matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most].tolist()
    places = [divmod(place, len(classes.names)) for place in order]
    return tuple(_cell(classes.matrix, shares, *place) for place in places if wrong[place])


def columns(classes: Classes) -> dict[str, Shares]:
    """The columns of the table of classes, by heading."""
    figures = classes.figures
    found = {} if classes.iou is None else {"IoU": classes.iou}
    found |= {"Precision": figures.precision, "Recall": figures.recall, "F1": figures.f1}
    found |= {} if classes.average_precision is None else {"AP": classes.average_precision}
    return found | ({} if classes.roc_auc is None else {"AUC": classes.roc_auc})


def averages(classes: Classes) -> dict[str, list[float]]:
    """The last rows of the table of classes: means in which every class counts the same, or by its images."""
    ranked = [figures for figures in (classes.average_precision, classes.roc_auc) if figures is not None]
    overlap = [] if classes.iou is None else [classes.iou]
    plain, by_count = macro(classes.figures), weighted(classes.figures)
    return {
        "Mean of the classes": [
            *map(mean_defined, overlap),
            *astuple(plain),
            *(mean_defined(figures) for figures in ranked),
        ],
        f"Weighted by {classes.counted}": [
            *(math.nan for _ in overlap),
            *astuple(by_count),
            *(math.nan for _ in ranked),
        ],
    }


def within(examples: tuple[Example, ...], size: int) -> tuple[Example, ...]:
    """The first examples whose pictures take no more than ``size`` bytes together."""
    totals = np.cumsum([example.size for example in examples])
    return examples[: int(np.searchsorted(totals, size, side="right"))]


def percent(share: float | None) -> str:
    """A share as `98.1 %`; a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def whole(share: float) -> str:
    """A share in per cent without decimals, in three characters; what is not quite none or all is said to be so."""
    number = round(100 * share)
    if number == 0 and share > 0:
        return "<1"
    return ">99" if number == 100 and share < 1 else str(number)


def thousands(count: int) -> str:
    """`1 234 567`, which does not wrap."""
    return f"{count:,}".replace(",", "\N{NO-BREAK SPACE}")


def _cell(matrix: Indices, shares: Shares, row: int, column: int) -> Cell:
    share = float(shares[row, column])
    return Cell(row, column, int(matrix[row, column]), share, round(100 * math.sqrt(share)))


def _curves(training: Training | None) -> list[Markup]:
    if training is None or not training.epochs:
        return []
    return [
        Markup(as_svg(training_curves(training, [panel]), panel))  # noqa: S704 - matplotlib escapes its texts
        for panel in panels(training)
    ]


def _reliability(calibration: Calibration | None) -> Markup:
    if calibration is None:
        return Markup("")
    figure = reliability_figure(calibration.before, calibration.after)
    return Markup(as_svg(figure, "reliability"))  # noqa: S704 - matplotlib escapes its texts


@functools.cache
def _environment() -> Environment:
    return environment({"percent": percent, "whole": whole, "thousands": thousands})
