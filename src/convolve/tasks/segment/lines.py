"""A segmentation's evaluation as lines and a table for the command line."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.tasks.segment.evaluation import Evaluation

_SHOWN_CLASSES = 30
_LABELS = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean class accuracy",
    "weighted_iou": "frequency-weighted IoU",
    "boundary_f": "boundary F",
}


def shown(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The figures, then every class's own."""
    for name, label in _LABELS.items():
        text = f"{evaluation.split} {label} {_percent(evaluation.figures[name])}"
        yield Text(text, style="bold" if name == "mean_iou" else "")
    table = Table("class", box=None, header_style="bold")
    for heading in ("IoU", "boundary F", "pixels"):
        table.add_column(heading, justify="right")
    counts = evaluation.matrix.sum(1)
    for place, name in enumerate(evaluation.names[:_SHOWN_CLASSES]):
        shares = (_percent(column[place]) for column in (evaluation.iou, evaluation.boundary))
        table.add_row(Text(name), *shares, f"{counts[place] / max(counts.sum(), 1):.1%}")
    if len(evaluation.names) > _SHOWN_CLASSES:
        table.add_row(f"and {len(evaluation.names) - _SHOWN_CLASSES} more in the report")
    yield table


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"
