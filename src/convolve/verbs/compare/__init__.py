"""`convolve compare`: runs and networks side by side, accuracy against cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from convolve.errors import OptionError
from convolve.options import flat
from convolve.progress import Listener, Step
from convolve.verbs.compare.contestants import PUBLISHED, Compared, found, weigh_network, weigh_run
from convolve.verbs.picturing import check_figure, write_figure
from convolve.verbs.running import Running
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.models import Card
    from convolve.reports.cost_figure import CostGroup
    from convolve.training.run import Run


@dataclass(frozen=True)
class Compare:
    """Put runs and networks side by side: accuracy against multiply-adds, parameters and measured speed."""

    runs: tuple[Path, ...]
    """Folders of runs, or names of networks with their published accuracy; two or more."""
    _: KW_ONLY
    figure: Path | None = None
    """Draw accuracy against cost into this file (.svg or .png)."""
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Comparison:
    """Runs and networks, those measured by the same figure together, the best first, those without a figure last."""

    runs: tuple[Compared, ...]
    figure: Path | None

    def as_json(self) -> dict[str, Any]:
        """`runs`: one dictionary each."""
        return {"runs": [asdict(run) for run in self.runs], "figure": str(self.figure) if self.figure else None}


def run(options: Compare, listener: Listener) -> Comparison:
    """Read the runs' and cards' figures and time their networks here, in turn. Raises `RunError`, `NetworkError`."""
    if len(options.runs) < 2:
        raise OptionError("Give two runs or more to compare, or names of networks.")
    check_figure(options.figure)
    wanted = [found(what) for what in options.runs]
    if options.figure and not any(map(_has_accuracy, wanted)):
        raise OptionError("None of these networks has a published accuracy, so there is nothing to draw.")
    rows = []
    for place, one in enumerate(wanted):
        listener(Step("compare", place, len(wanted), str(options.runs[place])))
        rows.append(_weighed(one, options.running))
    listener(Step("compare", len(wanted), len(wanted)))
    rows.sort(key=lambda row: (row.accuracy is None, row.criterion, -(row.accuracy or 0.0)))
    comparison = Comparison(tuple(rows), options.figure)
    if options.figure:
        from convolve.reports.cost_figure import cost_figure

        write_figure(options.figure, cost_figure(_groups(comparison)), "compare")
    return comparison


def shown(result: Comparison) -> Iterator[RenderableType]:
    """A table with a column for each kind of figure, and what must be said of it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("run", "network", "measured on", box=None, header_style="bold")
    kinds = _kinds(result) or ["accuracy"]
    for heading in (*map(_words, kinds), "parameters", "multiply-adds", "ms", "images/s"):
        table.add_column(heading, justify="right")
    for row in result.runs:
        texts = ("" if row.split == PUBLISHED else row.run, row.network, _measured(row))
        figures = (
            *("" if row.accuracy is None or row.criterion != kind else f"{row.accuracy:.1%}" for kind in kinds),
            f"{row.parameters:,}",
            f"{row.macs:,}",
            f"{row.latency:.2f}",
            f"{row.speed:,.0f}" if row.speed >= 10 else f"{row.speed:.2g}",
        )
        table.add_row(*map(Text, texts), *figures)
    yield table
    for sentence in _remarks(result):
        yield Text(sentence, style="yellow")
    if result.figure:
        yield f"figure  {result.figure}"


def _remarks(result: Comparison) -> Iterator[str]:
    if len({(row.data, row.split) for row in result.runs if row.accuracy is not None}) > 1:
        yield "They were not measured on the same data; only figures from the same data can be compared."
    if len(kinds := _kinds(result)) > 1:
        yield f"{', '.join(map(_words, kinds))} are different figures; only those in one column can be compared."
    if any(row.split == PUBLISHED and row.accuracy is not None for row in result.runs):
        yield "Published accuracies are the papers' own, measured as the table says; speeds are with fresh weights."
    unknown = [row.network for row in result.runs if row.accuracy is None]
    if unknown:
        verb = "has" if len(unknown) == 1 else "have"
        yield f"{', '.join(unknown)} {verb} no published top-1 error on ILSVRC-2012, and so no accuracy here."


def _kinds(result: Comparison) -> list[str]:
    """The figures that the table holds, in its order."""
    return list(dict.fromkeys(row.criterion for row in result.runs if row.accuracy is not None))


def _words(criterion: str) -> str:
    return criterion.replace("_", " ").replace("iou", "IoU")


def _has_accuracy(one: Run | Card) -> bool:
    from convolve.models import Card

    return not isinstance(one, Card) or one.top1_error is not None


def _weighed(one: Run | Card, running: Running) -> Compared:
    from convolve.models import Card

    return weigh_network(one, running) if isinstance(one, Card) else weigh_run(one, running)


def _measured(row: Compared) -> str:
    if row.accuracy is None:
        return ""
    return f"{Path(row.data).name}, {row.split}" + (f": {row.evaluation}" if row.evaluation else "")


def _groups(comparison: Comparison) -> list[CostGroup]:
    """What was measured by the same figure on the same data together, in the order of the table."""
    from convolve.reports.cost_figure import CostGroup, CostPoint

    points: dict[tuple[str, str], list[CostPoint]] = {}
    for row in comparison.runs:
        if row.accuracy is not None:
            name = row.network if row.split == PUBLISHED else Path(row.run).name
            point = CostPoint(name, row.accuracy, row.macs, row.latency / 1000, row.parameters)
            data = f"{Path(row.data).name}, {row.split}"
            points.setdefault((data, _words(row.criterion)), []).append(point)
    return [CostGroup(data, found, figure) for (data, figure), found in points.items()]


VERB = Verb(Compare, run, shown)
