"""What a report shows of a restoration: its metrics next to those of the baselines, and images before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True)
class Comparison:
    """The middle of an image before and after, and as it should be (data URIs), with their metrics in words."""

    name: str
    before: str
    after: str
    target: str
    note: str


def format_metric(name: str, value: float) -> str:
    """PSNR in dB, SSIM with four decimals; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if name == "psnr_gain":
        return f"{value:+.2f}\N{NO-BREAK SPACE}dB"
    return f"{value:.2f}\N{NO-BREAK SPACE}dB" if name.startswith("psnr") else f"{value:.4f}"


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, each with that of the best baseline."""
    method, baseline = next(iter(evaluation.baselines.items()))
    notes = {name: f"{method} {format_metric(name, value)}" for name, value in baseline.items()}
    notes["psnr_gain"] = f"above {method}, {format_count(evaluation.images, 'images')}"
    return tuple(
        Headline(label, format_metric(name, evaluation.metrics[name]), notes[name])
        for name, label in INFO.metric_titles.items()
    )


def report_sections(
    task: Restore, evaluation: Evaluation, dataset: Dataset, runtime: Runtime
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    order = sorted(evaluation.each, key=lambda one: one.gain)
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _COMPARED).astype(int)).tolist()]
    context = {"comparisons": compare(task, dataset, chosen, runtime)}
    template, notebook = (_HOME, "comparisons.html.j2"), (_HOME, "comparisons_notebook.html.j2")
    sections = (quality_section(evaluation), Section("comparisons", "Before and after", template, context, notebook))
    return headlines(evaluation), sections


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metrics, then all of them next to those of the baselines."""
    for position, headline in enumerate(headlines(evaluation)[:2]):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    table = Table("", box=None, header_style="bold")
    names = [name for name in INFO.metric_titles if name != "psnr_gain"]
    for name in names:
        table.add_column(INFO.metric_titles[name], justify="right")
    for method, metrics in {"network": evaluation.metrics, **evaluation.baselines}.items():
        table.add_row(method, *(format_metric(name, metrics[name]) for name in names))
    yield table
    if evaluation.shaved:
        yield Text(f"{evaluation.shaved} pixels at every border are left out, as in the literature")


def compare(
    task: Restore, dataset: Dataset, chosen: Sequence[EvaluatedImage], runtime: Runtime
) -> tuple[Comparison, ...]:
    """The middle of some images; one that cannot be read any more is left out."""
    from convolve.tasks.restore.tiled_restoration import restore_image

    found: list[Comparison] = []
    for one in chosen:
        with suppress(ImageError):
            target = sharp_image(dataset.images.read(one.index), task)
            degraded = task.degradation.degrade(target)
            method, before = next(iter(baselines(degraded, task.degradation).items()))
            after = restore_image(degraded, task, runtime)
            values = (f"{name} {format_metric('psnr_y', one.metrics[name]['psnr_y'])}" for name in (method, "network"))
            found.append(Comparison(one.name, _encode(before), _encode(after), _encode(target), ", ".join(values)))
    return tuple(found)


def _encode(image: Pixels) -> str:
    """The middle of the image, at most `_SIDE` pixels wide and high, at full scale, as a data URI."""
    top, left = (max(0, (side - _SIDE) // 2) for side in image.shape[:2])
    middle = to_channels(np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE]), 3)
    written = io.BytesIO()
    Image.fromarray(middle).save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def quality_section(evaluation: Evaluation) -> Section:
    """The metrics of all methods, and of each image."""
    names = [name for name in INFO.metric_titles if name != "psnr_gain"]
    rows = {"network": evaluation.metrics, **evaluation.baselines}
    context = {
        "titles": [INFO.metric_titles[name] for name in names],
        "methods": [(method, [format_metric(name, row[name]) for name in names]) for method, row in rows.items()],
        "shaved": evaluation.shaved,
        "images": [
            (one.name, [format_metric("psnr_y", row["psnr_y"]) for row in one.metrics.values()])
            for one in sorted(evaluation.each, key=lambda one: one.gain)
        ],
    }
    return Section("quality", "Quality", (_HOME, "quality.html.j2"), context)
