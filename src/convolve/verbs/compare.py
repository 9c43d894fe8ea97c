"""`convolve compare`: runs side by side, accuracy against cost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convolve.errors import OptionError, RunError
from convolve.options import flat
from convolve.progress import Listener, Step
from convolve.verbs.running import Running, restored
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.runtime import Runtime
    from convolve.tasks.classify import Classify

_BATCH = 16
_ROUNDS = 5


@dataclass(frozen=True)
class Compare:
    """Put runs side by side: accuracy against multiply-adds, parameters and measured speed."""

    runs: tuple[Path, ...]
    """Folders of two runs or more."""
    _: KW_ONLY
    figure: Path | None = None
    """Draw accuracy against cost into this file (.svg or .png)."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Compared:
    """One run: its accuracy (or mean average precision) on a split, its costs, and the speed measured here.

    ``latency`` is the median of one image's milliseconds, ``speed`` images a second in batches of 16.
    """

    run: str
    network: str
    data: str
    split: str
    images: int
    accuracy: float
    parameters: int
    macs: int
    latency: float
    speed: float


@dataclass(frozen=True)
class Comparison:
    """The runs, the most accurate first."""

    runs: tuple[Compared, ...]
    figure: Path | None

    def as_json(self) -> dict[str, Any]:
        """`runs`: one dictionary each."""
        return {"runs": [asdict(run) for run in self.runs], "figure": str(self.figure) if self.figure else None}


def run(options: Compare, listener: Listener) -> Comparison:
    """Read the runs' figures and time their networks here, in turn. Raises `RunError`."""
    if len(options.runs) < 2:
        raise OptionError("Give two runs or more to compare.")
    if options.figure and options.figure.suffix not in (".svg", ".png"):
        raise OptionError(f"{options.figure} is neither .svg nor .png; name the figure so.")
    found = []
    for place, folder in enumerate(options.runs, 1):
        found.append(_compared(folder, options.running))
        listener(Step("compare", place, len(options.runs)))
    comparison = Comparison(tuple(sorted(found, key=lambda row: -row.accuracy)), options.figure)
    if options.figure:
        _draw(options.figure, comparison)
    return comparison


def shown(result: Comparison) -> Iterator[RenderableType]:
    """A table, the most accurate first."""
    from rich.table import Table
    from rich.text import Text

    table = Table("run", "network", "measured on", box=None, header_style="bold")
    for heading in ("accuracy", "parameters", "multiply-adds", "ms", "images/s"):
        table.add_column(heading, justify="right")
    for row in result.runs:
        texts = (row.run, row.network, f"{Path(row.data).name}, {row.split}")
        figures = (
            f"{row.accuracy:.1%}",
            f"{row.parameters:,}",
            f"{row.macs:,}",
            f"{row.latency:.2f}",
            f"{row.speed:,.0f}",
        )
        table.add_row(*map(Text, texts), *figures)
    yield table
    if len({(row.data, row.split) for row in result.runs}) > 1:
        yield Text(
            "The runs were not measured on the same data, so their accuracies cannot be compared.", style="yellow"
        )
    if result.figure:
        yield f"figure  {result.figure}"


def _compared(folder: Path, running: Running) -> Compared:
    from convolve.summary import summarize
    from convolve.training.run import open_run

    trained = open_run(folder)
    results, size = trained.manifest.results, trained.manifest.preprocessing
    split = next((name for name in ("test", "validation") if name in results), None)
    if split is None:
        raise RunError(f"{folder} has not ended its training; go on with `convolve train --resume {folder}`.")
    task, runtime = restored(trained, running)
    summary = summarize(task.network, (size.channels, size.height, size.width))
    latency, speed = _timed(task, runtime, (size.height, size.width, size.channels))
    return Compared(
        run=str(folder),
        network=trained.recipe.network or "",
        data=trained.recipe.data or "",
        split=split,
        images=results[split]["images"],
        accuracy=results[split]["figures"][trained.manifest.criterion],
        parameters=summary.parameters,
        macs=summary.macs,
        latency=latency,
        speed=speed,
    )


def _timed(task: Classify, runtime: Runtime, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Milliseconds of one image, and images a second in batches, each the median of several rounds."""
    import numpy as np
    import torch

    def seconds(count: int) -> float:
        images = runtime.images(np.zeros((count, *shape), dtype=np.float32))
        began = time.perf_counter()
        with torch.inference_mode(), runtime.autocast():
            task.predict(images).sum().item()
        return time.perf_counter() - began

    seconds(_BATCH), seconds(1)
    single = statistics.median(seconds(1) for _ in range(_ROUNDS))
    return 1000 * single, _BATCH / statistics.median(seconds(_BATCH) for _ in range(_ROUNDS))


def _draw(place: Path, comparison: Comparison) -> None:
    from convolve.files import write_bytes
    from convolve.reports.drawing import as_png, as_svg
    from convolve.reports.figures import CostPanel, CostPoint, cost_figure

    kinds = (
        ("multiply-adds", "", "macs", 1.0),
        ("parameters", "", "parameters", 1.0),
        ("time per image", "s", "latency", 1e-3),
    )
    panels = [
        CostPanel(
            cost,
            unit,
            [CostPoint(Path(row.run).name, getattr(row, field) * share, row.accuracy) for row in comparison.runs],
        )
        for cost, unit, field, share in kinds
    ]
    figure = cost_figure(panels)
    if place.suffix == ".svg":
        write_bytes(place, as_svg(figure, "compare").encode())
    else:
        write_bytes(place, as_png(figure))


VERB = Verb(Compare, run, shown)
