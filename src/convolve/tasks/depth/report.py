"""What a report shows of depth: metrics next to those of a constant, the error by distance, and images side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.depth_maps import colorize
from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.reports.colors import sequential_colors
from convolve.reports.report import Headline, Section, format_count
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.depth.evaluation import CONSTANT, NETWORK, EvaluatedImage, Evaluation
from convolve.tasks.depth.options import INFO
from convolve.tasks.depth.prediction import format_meters
from convolve.values import Dataset, Floats, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.depth.task import Depth

_HOME = "convolve.tasks.depth"
_COMPARED, _SIDE = 6, 360
"""How many images a report compares, and the pixels of each one's longer side."""
_WRONG = 0.5
"""The error in the color at the end of the scale, as a fraction of the true depth."""
_METERS, _PERCENT = ("rmse", "sq_rel"), ("delta1", "delta2", "delta3", "abs_rel")


@dataclass(frozen=True)
class Comparison:
    """An image, its true and its predicted depth and the error (data URIs); the depths at the ends of the colors, and
    the metrics in words.
    """

    name: str
    image: str
    target: str
    predicted: str
    error: str
    ends: str
    note: str


def format_metric(name: str, value: float) -> str:
    """Fractions in percent, lengths in meters, logarithms with three decimals; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if name in _PERCENT:
        return f"{value:.1%}"
    return format_meters(value) if name in _METERS else f"{value:.3f}"


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, each with that of the constant."""
    constant = evaluation.baselines[CONSTANT]
    return tuple(
        Headline(
            label, format_metric(name, evaluation.metrics[name]), f"constant {format_metric(name, constant[name])}"
        )
        for name, label in INFO.metric_titles.items()
    )


def report_sections(
    task: Depth, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    order = sorted(evaluation.each, key=lambda one: -one.metrics[NETWORK]["abs_rel"])
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _COMPARED).astype(int)).tolist()]
    context = {"comparisons": compare(task, dataset, chosen, preprocessing, runtime), "wrong": f"{_WRONG:.0%}"}
    template, notebook = (_HOME, "comparisons.html.j2"), (_HOME, "comparisons_notebook.html.j2")
    sections = (*plain_sections(evaluation), Section("comparisons", "Depth maps", template, context, notebook))
    return headlines(evaluation), sections


def plain_sections(evaluation: Evaluation) -> tuple[Section, ...]:
    """Those that need no network."""
    methods = {NETWORK: evaluation.metrics, **evaluation.baselines}
    metrics = {
        "constant": format_meters(evaluation.constant),
        "titles": list(INFO.metric_titles.values()),
        "methods": [
            (method, [format_metric(name, row[name]) for name in INFO.metric_titles]) for method, row in methods.items()
        ],
        "images": [
            (one.name, [format_metric(name, one.metrics[NETWORK][name]) for name in INFO.metric_titles])
            for one in sorted(evaluation.each, key=lambda one: -one.metrics[NETWORK]["abs_rel"])
        ],
    }
    pixels = sum(each.pixels for each in evaluation.ranges)
    by_distance = {
        "ranges": [
            (
                f"{each.start:.3g}–{format_meters(each.end)}",
                f"{each.pixels / pixels:.1%}",
                format_meters(each.error),
                each.abs_rel,
                each.constant_abs_rel,
            )
            for each in evaluation.ranges
        ],
        "largest": max(max(each.abs_rel, each.constant_abs_rel) for each in evaluation.ranges) or 1.0,
    }
    return (
        Section("metrics", "Metrics", (_HOME, "metrics.html.j2"), metrics),
        Section("distance", "Error by distance", (_HOME, "distance.html.j2"), by_distance),
    )


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then all of them next to those of the baselines."""
    for position, headline in enumerate(headlines(evaluation)[:3]):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table(format_count(evaluation.images, "images"), box=None, header_style="bold")
    for label in INFO.metric_titles.values():
        table.add_column(label, justify="right")
    for method, metrics in {NETWORK: evaluation.metrics, **evaluation.baselines}.items():
        table.add_row(method, *(format_metric(name, metrics[name]) for name in INFO.metric_titles))
    yield table


def compare(
    task: Depth, dataset: Dataset, chosen: Sequence[EvaluatedImage], preprocessing: Preprocessing, runtime: Runtime
) -> tuple[Comparison, ...]:
    """Images with their true and predicted depths; one that cannot be read any more is left out."""
    from convolve.tasks.depth.predictor import predict_images

    found: list[Comparison] = []
    for one in chosen:
        with suppress(ImageError):
            image = dataset.images.read(one.index)
            target: Floats = dataset.ground_truths["depth"].read(one.index)  # type: ignore[attr-defined]
            (depth,) = predict_images([image], task, runtime, preprocessing)
            known = target[target > 0]
            ends = float(known.min()), float(known.max())
            metrics = one.metrics[NETWORK]
            note = ", ".join(
                f"{INFO.metric_titles[name]} {format_metric(name, metrics[name])}" for name in ("abs_rel", "rmse")
            )
            drawn = (to_channels(image, 3), colorize(target, *ends), colorize(depth, *ends), _error(depth, target))
            shown, true, predicted, error = (thumbnail(part, _SIDE) for part in drawn)
            limits = " to ".join(map(format_meters, ends))
            found.append(Comparison(one.name, shown, true, predicted, error, limits, note))
    return tuple(found)


def _error(depth: Floats, target: Floats) -> Pixels:
    """(H, W, 3) the error as a fraction of the true depth, dark blue to yellow at `_WRONG`; black where unknown."""
    known = target > 0
    fractions = np.abs(depth - target) / np.where(known, target, 1)
    colors = sequential_colors(fractions / _WRONG)
    colors[~known] = 0
    return colors
