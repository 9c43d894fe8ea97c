"""What a report shows of stereo pairs: metrics next to those of constants, and pairs with their disparities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.depth_maps import colorize
from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import normalize
from convolve.datasets.stereo_pairs import STEPS
from convolve.errors import ImageError
from convolve.reports.colors import sequential_colors
from convolve.reports.report import Headline, Section, format_count
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.stereo.evaluation import (
    CONSTANT,
    MEASURED,
    NETWORK,
    UNMOVED,
    EvaluatedPair,
    Evaluation,
    fit_input,
    reconstruct_left,
)
from convolve.tasks.stereo.options import INFO
from convolve.tasks.stereo.predictor import at_image_size, format_pixels
from convolve.values import Dataset, Floats, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.datasets.stereo_pairs import StereoPairs
    from convolve.runtime import Runtime
    from convolve.tasks.stereo.task import Stereo

_HOME = "convolve.tasks.stereo"
_COMPARED, _SIDE = 6, 360
"""How many pairs a report compares, and the pixels of each one's longer side."""
_SMALLEST = 1 / STEPS
"""Pixels: what is predicted as smaller gets the color of this disparity, as disparities in files."""
_WRONG = 6
"""Pixels: the error in the color at the end of the scale."""


@dataclass(frozen=True)
class Comparison:
    """Pictures of a pair (data URIs) with what each is; the disparities at the ends of the colors, and the metrics in
    words.
    """

    name: str
    images: tuple[tuple[str, str], ...]
    ends: str
    note: str


def format_metric(name: str, value: float) -> str:
    """Fractions in percent, errors of disparities in pixels; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if name in ("error_removed", "bad3"):
        return f"{value:.1%}"
    return format_pixels(value) if name == "mae" else f"{value:.3f}"


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, each with that of a baseline."""
    notes = {"error_removed": "", "photometric": UNMOVED, "mae": CONSTANT, "bad3": CONSTANT}
    found = list[Headline]()
    for name, baseline in notes.items():
        note = ""
        if baseline in evaluation.baselines:
            note = f"{baseline} {format_metric(name, evaluation.baselines[baseline][name])}"
        found.append(Headline(INFO.metric_titles[name], format_metric(name, evaluation.metrics[name]), note))
    return tuple(found)


def report_sections(
    task: Stereo, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    order = sorted(evaluation.each, key=lambda one: -one.metrics[NETWORK]["photometric"])
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _COMPARED).astype(int)).tolist()]
    metrics = {
        "titles": [INFO.metric_titles[name] for name in MEASURED],
        "methods": [
            (method, [format_metric(name, row[name]) for name in MEASURED])
            for method, row in {NETWORK: evaluation.metrics, **evaluation.baselines}.items()
        ],
        "images": [(one.name, [format_metric(name, one.metrics[NETWORK][name]) for name in MEASURED]) for one in order],
    }
    context = {"comparisons": compare(task, dataset, chosen, preprocessing, runtime), "wrong": _WRONG}
    template, notebook = (_HOME, "comparisons.html.j2"), (_HOME, "comparisons_notebook.html.j2")
    return headlines(evaluation), (
        Section("metrics", "Metrics", (_HOME, "metrics.html.j2"), metrics),
        Section("comparisons", "Disparities", template, context, notebook),
    )


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline, then the metrics next to those of the baselines."""
    first = headlines(evaluation)[0]
    yield Text(f"{evaluation.split} {first.label} {first.value}", style="bold")
    table = Table(format_count(evaluation.images, "pairs"), box=None, header_style="bold")
    for name in MEASURED:
        table.add_column(INFO.metric_titles[name], justify="right")
    for method, metrics in {NETWORK: evaluation.metrics, **evaluation.baselines}.items():
        table.add_row(method, *(format_metric(name, metrics[name]) for name in MEASURED))
    yield table


def compare(
    task: Stereo, dataset: Dataset, chosen: Sequence[EvaluatedPair], preprocessing: Preprocessing, runtime: Runtime
) -> tuple[Comparison, ...]:
    """Pairs with what was made of them; one that cannot be read any more is left out."""
    pairs: StereoPairs = dataset.ground_truths["stereo"]  # type: ignore[assignment]  # `accept` checked it
    found: list[Comparison] = []
    for one in chosen:
        with suppress(ImageError):
            image, right = dataset.images.read(one.index), pairs.read_right(one.index)
            target = pairs.read_disparity(one.index)
            inputs = [fit_input(each, preprocessing) for each in (image, right)]
            with torch.inference_mode(), runtime.arithmetic():
                fractions = task.predict(runtime.images(normalize(inputs[0], preprocessing)))[0, 0].cpu().numpy()
            pixels = reconstruct_left(inputs[1], fractions)[0].mul(255).round().byte().permute(1, 2, 0).numpy()
            made = cv2.resize(to_channels(pixels, 3), (image.shape[1], image.shape[0]))
            disparity = at_image_size(fractions, (image.shape[0], image.shape[1])).clip(_SMALLEST)
            shown = disparity if target is None or not target.any() else target[target > 0]
            ends = float(shown.min()), float(shown.max())
            drawn = {
                "the left image": to_channels(image, 3),
                "the left image made from the right one": np.asarray(made, np.uint8),
                "the predicted disparity": _colors(disparity, *ends),
            }
            if target is not None:
                drawn |= {"the true disparity": _colors(target, *ends), "the error": _error(disparity, target)}
            metrics = one.metrics[NETWORK]
            note = ", ".join(f"{INFO.metric_titles[name]} {format_metric(name, metrics[name])}" for name in MEASURED)
            images = tuple((thumbnail(each, _SIDE), label) for label, each in drawn.items())
            found.append(Comparison(one.name, images, " to ".join(map(format_pixels, ends)), note))
    return tuple(found)


def _colors(disparity: Floats, least: float, most: float) -> Pixels:
    """(H, W, 3) yellow for the largest disparity, which is nearest, to dark blue; unknown is black."""
    known = disparity > 0
    inverse = np.asarray(known / np.where(known, disparity, 1), np.float32)
    return colorize(inverse, 1 / most, 1 / least)


def _error(disparity: Floats, target: Floats) -> Pixels:
    """(H, W, 3) the error, dark blue to yellow at `_WRONG`; black where unknown."""
    colors = sequential_colors(np.abs(disparity - target) / _WRONG)
    colors[target <= 0] = 0
    return colors
