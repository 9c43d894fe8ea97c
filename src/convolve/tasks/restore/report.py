"""What a report shows of a restoration: its metrics next to those of the baselines, and images before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.reports.report import Headline, Section, format_count
from convolve.tasks.restore.evaluation import EvaluatedImage, Evaluation, baselines, sharp_image
from convolve.tasks.restore.options import INFO
from convolve.values import Dataset, Pixels

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.restore.task import Restore

_HOME = "convolve.tasks.restore"
_COMPARED, _SIDE, _QUALITY = 6, 360, 92
"""How many images a report compares, the pixels of a part's side, and the quality of its JPEG files."""
_METHODS = {
    "bicubic": "bicubic interpolation",
    "degraded": "the image as it was given",
    "telea": "Telea's method",
    "gray": "the gray image",
}
"""The best baselines, in a sentence."""


@dataclass(frozen=True)
class BeforeAfter:
    """An image without the network, restored by it, and as it should be, each (H, W, 1 or 3)."""

    before: Pixels
    after: Pixels
    target: Pixels


@dataclass(frozen=True)
class Comparison:
    """The middle of an image before and after, and as it should be (data URIs), with their metrics in words."""

    name: str
    before: str
    after: str
    target: str
    note: str


def format_metric(name: str, value: float) -> str:
    """PSNR in dB, others with four decimals; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if name.startswith("psnr") and name.endswith("gain"):
        return f"{value:+.2f}\N{NO-BREAK SPACE}dB"
    if name.endswith("gain"):
        return f"{value:+.4f}"
    return f"{value:.2f}\N{NO-BREAK SPACE}dB" if name.startswith("psnr") else f"{value:.4f}"


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, each with that of the best baseline."""
    method, baseline = next(iter(evaluation.baselines.items()))
    notes = {name: f"{method} {format_metric(name, value)}" for name, value in baseline.items()}
    return tuple(
        Headline(
            INFO.metric_titles[name],
            format_metric(name, value),
            notes.get(name, f"above {method}, {format_count(evaluation.images, 'images')}"),
        )
        for name, value in evaluation.metrics.items()
    )


def shortfall(evaluation: Evaluation) -> str:
    """A sentence where the network is worse than the best baseline, or nothing."""
    method, baseline = next(iter(evaluation.baselines.items()))
    if not evaluation.metrics[evaluation.headline] < baseline[evaluation.headline]:
        return ""
    return f"The network is below {_METHODS[method]}; train longer."


def report_sections(
    evaluation: Evaluation, dataset: Dataset, before_after: Callable[[Pixels], BeforeAfter]
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation, with what an image gives before and after."""
    order = sorted(evaluation.each, key=lambda one: one.gain(evaluation.headline))
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _COMPARED).astype(int)).tolist()]
    context = {"comparisons": compare(evaluation.headline, dataset, chosen, before_after)}
    template, notebook = (_HOME, "comparisons.html.j2"), (_HOME, "comparisons_notebook.html.j2")
    sections = (quality_section(evaluation), Section("comparisons", "Before and after", template, context, notebook))
    return headlines(evaluation), sections


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then all of them next to those of the baselines."""
    for position, headline in enumerate(headlines(evaluation)[:2]):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("", box=None, header_style="bold")
    names = _measured(evaluation)
    for name in names:
        table.add_column(INFO.metric_titles[name], justify="right")
    for method, metrics in {"network": evaluation.metrics, **evaluation.baselines}.items():
        table.add_row(method, *(format_metric(name, metrics[name]) for name in names))
    yield table
    if found := shortfall(evaluation):
        yield Text(found, style="bold")
    if evaluation.shaved:
        yield Text(f"{evaluation.shaved} pixels at every border are left out, as in the literature")


def compare(
    metric: str, dataset: Dataset, chosen: Sequence[EvaluatedImage], before_after: Callable[[Pixels], BeforeAfter]
) -> tuple[Comparison, ...]:
    """The middle of some images, with their metric; one that cannot be read any more is left out."""
    found: list[Comparison] = []
    for one in chosen:
        with suppress(ImageError):
            made = before_after(dataset.images.read(one.index))
            before, after, target = (_encode(each) for each in (made.before, made.after, made.target))
            method = list(one.metrics)[1]
            values = (f"{name} {format_metric(metric, one.metrics[name][metric])}" for name in (method, "network"))
            found.append(Comparison(one.name, before, after, target, ", ".join(values)))
    return tuple(found)


def compare_detail(image: Pixels, task: Restore, runtime: Runtime) -> BeforeAfter:
    """An image made worse and restored."""
    from convolve.tasks.restore.tiled_restoration import restore_image

    target = sharp_image(image, task)
    degraded = task.degradation.degrade(target)
    before = next(iter(baselines(degraded, task.degradation).values()))
    return BeforeAfter(before, restore_image(degraded, task, runtime), target)


def _measured(evaluation: Evaluation) -> list[str]:
    """The metrics that baselines have too."""
    return list(evaluation.each[0].metrics["network"])


def _encode(image: Pixels) -> str:
    """The middle of the image, at most `_SIDE` pixels wide and high, at full scale, as a data URI."""
    top, left = (max(0, (side - _SIDE) // 2) for side in image.shape[:2])
    middle = to_channels(np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE]), 3)
    written = io.BytesIO()
    Image.fromarray(middle).save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def quality_section(evaluation: Evaluation) -> Section:
    """The metrics of all methods, and of each image."""
    names = _measured(evaluation)
    headline, rows = evaluation.headline, {"network": evaluation.metrics, **evaluation.baselines}
    context = {
        "titles": [INFO.metric_titles[name] for name in names],
        "methods": [(method, [format_metric(name, row[name]) for name in names]) for method, row in rows.items()],
        "shaved": evaluation.shaved,
        "shortfall": shortfall(evaluation),
        "headline": INFO.metric_titles[headline],
        "images": [
            (one.name, [format_metric(headline, row[headline]) for row in one.metrics.values()])
            for one in sorted(evaluation.each, key=lambda one: one.gain(headline))
        ],
    }
    return Section("quality", "Quality", (_HOME, "quality.html.j2"), context)
