"""What a report shows of a style: losses, the style image, and photographs before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.images import ImageFiles, to_channels
from convolve.errors import ImageError
from convolve.reports.report import Headline, Section, format_count
from convolve.style_transfer.images import resize, sizes, to_pixels
from convolve.style_transfer.perceptual_loss import PARTS
from convolve.tasks.style.evaluation import EvaluatedImage, Evaluation, OptimizedImage
from convolve.tasks.style.options import INFO
from convolve.tasks.style.stylization import stylize
from convolve.values import Dataset, Pixels

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.style.task import Style

_HOME = "convolve.tasks.style"
_COMPARED, _LONGER, _QUALITY = 6, 512, 90
"""How many photographs a report compares, their longer side at most, and the quality of the JPEG files."""


@dataclass(frozen=True)
class Comparison:
    """A photograph before and after (data URIs), with its losses in words."""

    name: str
    before: str
    after: str
    note: str


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, the losses each with that of the photographs."""
    removed, photographs = evaluation.metrics["loss_removed"], evaluation.photographs
    count = format_count(evaluation.images, "images")
    return (
        Headline(_title("loss_removed"), f"{removed:.1%}", f"of the loss of the photographs, {count}"),
        *(
            Headline(_title(name), format_loss(evaluation.metrics[name]), _of_photographs(photographs[name]))
            for name in PARTS
        ),
    )


def format_loss(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def report_sections(
    task: Style, evaluation: Evaluation, dataset: Dataset, runtime: Runtime
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    order = sorted(evaluation.each, key=lambda one: one.loss_removed)
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _COMPARED).astype(int)).tolist()]
    style = to_channels(ImageFiles(Path(), (task.source.style,)).read(0), 3)
    context = {
        "style": _encode(_reduce(style)),
        "style_name": Path(task.source.style).name,
        "comparisons": tuple(_compare(task, dataset, chosen, runtime)),
    }
    template, notebook = (_HOME, "stylized.html.j2"), (_HOME, "stylized_notebook.html.j2")
    sections = (loss_section(evaluation), Section("stylized", "In the style", template, context, notebook))
    return headlines(evaluation), sections


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline, all losses, and how many iterations of an optimization one pass is worth."""
    headline = headlines(evaluation)[0]
    yield Text(f"{evaluation.split} {headline.label.lower()}: {headline.value} ({headline.note})", style="bold")
    table = Table("", box=None, header_style="bold")
    for name in PARTS:
        table.add_column(_title(name), justify="right")
    for row, losses in (("network", evaluation.metrics), ("photographs", evaluation.photographs)):
        table.add_row(row, *(format_loss(losses[name]) for name in PARTS))
    yield table
    if evaluation.optimized:
        yield Text(optimization_sentence(evaluation.optimized))


def optimization_sentence(optimized: OptimizedImage) -> str:
    """How many iterations of an optimization one pass is worth."""
    last = optimized.iterations[-1]
    if optimized.equal is None:
        return f"One pass is better than {last} iterations of optimization ({optimized.name})."
    if optimized.equal == 0:
        return f"One pass is no better than the photograph as it is ({optimized.name})."
    return f"One pass is as good as {optimized.equal} iterations of optimization ({optimized.name})."


def _title(name: str) -> str:
    return INFO.metric_titles[name].capitalize()


def _of_photographs(value: float) -> str:
    return f"photographs {format_loss(value)}"


def loss_section(evaluation: Evaluation) -> Section:
    """The losses of the network and of the photographs, and of one photograph that was optimized."""
    optimized = evaluation.optimized
    context = {
        "titles": [_title(name) for name in PARTS],
        "rows": [
            (name, [format_loss(losses[part]) for part in PARTS])
            for name, losses in (("network", evaluation.metrics), ("photographs", evaluation.photographs))
        ],
        "optimized": optimized
        and {
            "name": optimized.name,
            "network": format_loss(optimized.network),
            "iterations": list(optimized.iterations),
            "losses": [format_loss(loss) for loss in optimized.losses],
            "equal": optimized.equal,
        },
    }
    return Section("losses", "Losses", (_HOME, "losses.html.j2"), context)


def _compare(task: Style, dataset: Dataset, chosen: list[EvaluatedImage], runtime: Runtime) -> Iterator[Comparison]:
    """Whole photographs; one that cannot be read any more is left out."""
    for one in chosen:
        with suppress(ImageError):
            before = _reduce(to_channels(dataset.images.read(one.index), 3))
            after = stylize(before, task, runtime)
            yield Comparison(one.name, _encode(before), _encode(after), f"{one.loss_removed:.1%} of the loss removed")


def _reduce(image: Pixels) -> Pixels:
    """With a longer side of at most `_LONGER` pixels."""
    if max(image.shape) <= _LONGER:
        return image
    return to_pixels(resize(image, *sizes(image.shape, _LONGER)[-1]))


def _encode(image: Pixels) -> str:
    """A data URI."""
    written = io.BytesIO()
    Image.fromarray(image).save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
