"""What a report shows of a classifier: headlines, confusion matrix with its images, mistakes, classes, calibration; and
what the console does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.explainers.methods import Method, default_method
from convolve.metrics.calibration import Reliability
from convolve.metrics.ranking import nanmean
from convolve.reports.heatmaps import ramp_uri
from convolve.reports.report import Headline, Section, format_count, format_interval, percent
from convolve.reports.sections import ClassColumn, class_section, confusion_section, precision_recall_columns
from convolve.runtime import Runtime
from convolve.tasks.classify.evaluation import ClassResults, Evaluation
from convolve.tasks.classify.gallery import Selection, limit_bytes
from convolve.tasks.classify.heatmaps import Heatmaps, compute_heatmaps
from convolve.tasks.classify.options import INFO
from convolve.tasks.classify.task import Classify
from convolve.values import Dataset, Images, Preprocessing

_HOME = "convolve.tasks.classify"
_LARGEST_MATRIX = 15
_MOST_CLASSES = 30
_BYTES = 6_000_000
_SMALL, _LARGE = 96, 160
_BLUR = 0.05


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics worth the top of a page, with the 95 % interval of each that is a fraction of the images."""
    metrics, intervals, images = evaluation.metrics, evaluation.intervals, format_count(evaluation.images, "images")
    found: list[Headline] = []
    for name, label in INFO.metric_titles.items():
        if name in metrics:
            note = f"{format_interval(intervals[name])}, {images}" if name in intervals else images
            found.append(Headline(label, percent(metrics[name]), note))
    return tuple(found)


def report_sections(
    task: Classify, evaluation: Evaluation, dataset: Dataset, runtime: Runtime, preprocessing: Preprocessing
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation. Images beyond 6 MB are left out, those of the matrix's cells first."""
    predictions = evaluation.predictions
    images = dataset.images.take(predictions.indices)
    selection = Selection.of(predictions.targets, predictions.scores)
    heatmaps = compute_heatmaps(task, runtime, images, preprocessing, selection.heatmap_classes())
    method, _ = default_method(task.network)
    return headlines(evaluation), _sections(evaluation, images, selection, heatmaps, method if heatmaps else None)


def plain_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[Section, ...]:
    """The same sections of an evaluation without a network, and so without heatmaps."""
    predictions = evaluation.predictions
    selection = Selection.of(predictions.targets, predictions.scores)
    return _sections(evaluation, dataset.images.take(predictions.indices), selection, {}, None)


def _sections(
    evaluation: Evaluation, images: Images, selection: Selection, heatmaps: Heatmaps, method: Method | None
) -> tuple[Section, ...]:
    classes = evaluation.classes
    mistakes = limit_bytes(selection.examples(images, selection.mistakes, heatmaps, _LARGE), _BYTES)
    rest = _BYTES - sum(example.size for example in mistakes)
    examples = limit_bytes(selection.examples(images, selection.cells, heatmaps, _SMALL), rest)
    shared = {"names": classes.names, "method": method, "ramp": ramp_uri(method.signed) if method else ""}
    sections: list[Section] = []
    if classes.matrix is not None:
        plain = confusion_section(classes.names, classes.matrix, "images")
        context = {**plain.context, **shared, "examples": examples}
        sections.append(replace(plain, template=(_HOME, "confusion.html.j2"), context=context))
    if mistakes:
        template, notebook = (_HOME, "mistakes.html.j2"), (_HOME, "mistakes_notebook.html.j2")
        context = {**shared, "mistakes": mistakes}
        sections.append(Section("mistakes", "Worst mistakes", template, context, notebook))
    columns = (*precision_recall_columns(classes.metrics), *_ranking_columns(classes))
    sections.append(class_section(classes.names, classes.metrics.support, "images", columns))
    sections.append(_calibration_section(evaluation))
    return tuple(sections)


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
            f"{format_count(reject.images, 'validation images')} ({percent(reject.coverage)}), of which "
            f"{percent(reject.accuracy)} are right ({format_interval(reject.interval)})"
        )


def chance_error(bins: Reliability) -> float:
    """The expected calibration error that perfectly calibrated predictions would show by chance alone on as many
    images: the mean absolute deviation of a binomial fraction in every bin, of which the normal approximation is
    sqrt(2 p (1 - p) / (pi n)). nan for no images.
    """
    filled = bins.counts > 0
    if not filled.any():
        return math.nan
    counts, confidence = bins.counts[filled], bins.confidence[filled].clip(0, 1)
    deviations = np.sqrt(2 * confidence * (1 - confidence) / (math.pi * counts))
    return float(np.average(deviations, weights=counts))


def _ranking_columns(classes: ClassResults) -> tuple[ClassColumn, ...]:
    precision, area = classes.average_precision, classes.roc_auc
    return (
        ClassColumn("AP", precision, "average precision, the class against the rest", nanmean(precision)),
        ClassColumn("AUC", area, "area under the ROC curve, the class against the rest", nanmean(area)),
    )


def _calibration_section(evaluation: Evaluation) -> Section:
    from convolve.reports.drawing import as_svg
    from convolve.reports.figures import reliability_figure

    calibration, single = evaluation.calibration, evaluation.classes.matrix is not None
    chance, reject = chance_error(calibration.before), calibration.reject
    context = {
        "calibration": calibration,
        "figure": as_svg(reliability_figure(calibration.before, calibration.after), "reliability"),
        "images": format_count(evaluation.images, "images"),
        "bins": len(calibration.before.counts),
        "chance": chance,
        "blurred": not chance <= _BLUR,
        "single": single,
        "reject": reject,
        "reject_images": format_count(reject.images, "validation images") if reject else "",
        "reject_interval": format_interval(reject.interval) if reject else "",
    }
    return Section("calibration", "Calibration", (_HOME, "calibration.html.j2"), context)


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
