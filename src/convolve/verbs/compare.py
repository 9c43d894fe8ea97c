"""`convolve compare`: runs, exports and networks side by side, accuracy against cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import Baseline
from convolve.command import Command
from convolve.errors import NetworkError, OptionError, RunError
from convolve.files import shell_quote
from convolve.options import Flat
from convolve.progress import Listener, Progress
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.models import Card, Network
    from convolve.reports.cost_figure import CostGroup
    from convolve.runtime import Runtime
    from convolve.training.run import Run

PUBLISHED, CONVERTED = "published", "converted"
_ILSVRC = "ILSVRC-2012"
_ACCURACY = "accuracy"
_VALIDATION, _TEST = "validation", "test"


@dataclass(frozen=True)
class Compare:
    """Put runs, exports and networks side by side: accuracy against multiply-adds, parameters and measured speed."""

    runs: tuple[str, ...]
    """Folders of runs and of exports, or names of networks with their published accuracy; two or more, or one run with
    baselines."""
    _: KW_ONLY
    baselines: Annotated[tuple[Baseline, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = ()
    """Also classify the plain pixels, on the splits of the first run, by nearest neighbors or by support vector
    machines."""
    figure: Path | None = None
    """Draw accuracy against cost into this file (.svg or .png)."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class ComparedNetwork:
    """One run or network: its headline metric on a split, costs, and the speed measured here.

    ``metric`` is what ``value`` measures, such as `accuracy`, `mean average precision` or `mean IoU`. A network has the
    accuracy that its paper gives on ILSVRC-2012, with ``split`` `published` and ``evaluation`` saying how it was
    measured; ``value`` is None where none is known, as of a run that was `converted`. ``images`` are those that it
    was measured on, None for networks; the ``unit`` of a value that is a fraction is `%`. Of a baseline, ``run`` is
    its name, ``interval`` the 95 % interval of its accuracy and ``seconds`` what fitting took; ``parameters`` are
    the numbers that it stores.
    ``latency`` is the median of one image's milliseconds, ``speed`` images per second in batches of 16.
    """

    run: str
    network: str
    data: str
    split: str
    images: int | None
    metric: str
    value: float | None
    parameters: int
    macs: int
    latency: float
    speed: float
    evaluation: str = ""
    interval: tuple[float, float] | None = None
    seconds: float | None = None
    unit: str = "%"


@dataclass(frozen=True)
class Comparison:
    """Runs and networks, those with the same metric together, the best first, those without a value last."""

    runs: tuple[ComparedNetwork, ...]
    figure: Path | None

    def as_json(self) -> dict[str, Any]:
        """`runs`: one dictionary each; `figure`."""
        return {"runs": [asdict(run) for run in self.runs], "figure": str(self.figure) if self.figure else None}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Compare, listener: Listener) -> Comparison:
    """Read the metrics of runs and cards and time their networks here, in turn. Raises `RunError`, `ExportError` and
    `NetworkError`.
    """
    from convolve.models import Card
    from convolve.reports.figure_file import check_figure, write_figure

    if len(options.runs) < (1 if options.baselines else 2):
        raise OptionError("Give two or more runs, or names of networks, to compare; or one run with --baselines.")
    check_figure(options.figure)
    found = [_find(name) for name in options.runs]
    if options.figure and all(isinstance(one, Card) and one.top1_error is None for one in found):
        raise OptionError("None of these networks has a published accuracy, so there is nothing to draw.")
    rows = _compare_baselines(found, options, listener) if options.baselines else []
    for index, one in enumerate(found):
        listener(Progress("compare", index, len(found), options.runs[index]))
        if isinstance(one, Card):
            rows.append(_compare_card(one, options.runtime))
        elif isinstance(one, Path):
            rows.append(_compare_export(one, options.runtime))
        else:
            rows.append(_compare_run(one, options.runtime, listener))
    listener(Progress("compare", len(found), len(found)))
    if options.figure and (units := {row.unit for row in rows} - {"%"}):
        raise OptionError(
            f"The figure is drawn in percent, and a run is measured in {units.pop()}; leave out --figure."
        )
    rows.sort(key=lambda row: (row.value is None, row.metric, -(row.value or 0.0)))
    comparison = Comparison(tuple(rows), options.figure)
    if options.figure:
        from convolve.reports.cost_figure import cost_figure

        write_figure(options.figure, cost_figure(_cost_groups(comparison)), "compare")
    return comparison


def render(result: Comparison) -> Iterator[RenderableType]:
    """A table with a column for each metric, and what has to be said of it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("run", "network", "measured on", box=None, header_style="bold")
    metrics = _metrics(result) or [_ACCURACY]
    for heading in (*metrics, "parameters", "multiply-adds", "ms", "images/s"):
        table.add_column(heading, justify="right")
    for row in result.runs:
        data = f"{Path(row.data).name}, {row.split}" + (f": {row.evaluation}" if row.evaluation else "")
        texts = ("" if row.split == PUBLISHED else row.run, row.network, "" if row.value is None else data)
        numbers = (
            *(
                "" if row.value is None or row.metric != metric else _format_value(row.value, row.unit)
                for metric in metrics
            ),
            f"{row.parameters:,}",
            f"{row.macs:,}",
            f"{row.latency:.2f}",
            f"{row.speed:,.0f}" if row.speed >= 10 else f"{row.speed:.2g}",
        )
        table.add_row(*map(Text, texts), *numbers)
    yield table
    for sentence in _remarks(result):
        yield Text(sentence, style="yellow")
    if result.figure:
        yield f"figure  {result.figure}"


def _find(name: str) -> Run | Card | Path:
    """The run in that folder, the folder if it is an export, or the card of the network of that name. Raises `RunError`
    when it is none of them.
    """
    from convolve import models
    from convolve.exports.card import is_export
    from convolve.training.run import open_run

    if "|" in name:  # the text of a network, which may be longer than a path
        return models.card(name)
    if is_export(Path(name)):
        return Path(name)
    if Path(name).is_dir():
        return open_run(Path(name))
    try:
        return models.card(name)
    except NetworkError as error:
        if name.startswith(("timm/", "torchvision/")):
            raise
        raise RunError(
            f"{name} is neither a run nor a network; give the folder that `convolve train` reported, or a name that "
            "`convolve networks` lists."
        ) from error


def _compare_run(run: Run, options: RuntimeOptions, listener: Listener) -> ComparedNetwork:
    """A run's own headline metric, and the speed of its network."""
    from convolve.setup.restore import restore_task
    from convolve.summary import summarize

    results, size = run.manifest.results, run.manifest.preprocessing
    split = next((name for name in ("test", "validation") if name in results), None)
    converted = not run.recipe.data
    if split is None and not converted:
        command = f"convolve train --resume {shell_quote(run.folder)}"
        raise RunError(f"{run.folder} has not ended; continue with `{command}`.")
    task, runtime = restore_task(run, options, listener)
    metrics = results[split]["metrics"] if split else {task.monitored: None}
    if task.monitored not in metrics:
        raise RunError(
            f"{run.folder / 'manifest.json'} is damaged (results: no {task.monitored}); restore it from a backup or "
            "train again."
        )
    summary = summarize(task.network, (size.channels, size.height, size.width))
    latency, speed = _time(task.network, runtime, (size.height, size.width, size.channels))
    return ComparedNetwork(
        run=str(run.folder),
        network=task.network.label,
        data=run.recipe.data or "",
        split=split or CONVERTED,
        images=results[split]["images"] if split else None,
        metric=task.info.metric_titles.get(task.monitored, task.monitored),
        value=metrics[task.monitored],
        unit=task.info.unit,
        parameters=summary.parameters,
        macs=summary.macs,
        latency=latency,
        speed=speed,
    )


def _compare_export(folder: Path, options: RuntimeOptions) -> ComparedNetwork:
    """The headline metric that an export's card holds, and the speed of the export, which takes images as they are."""
    from convolve.exports.engine import TIMED_BATCH
    from convolve.setup.exported import open_export

    export = open_export(folder, options)
    card, metric = export.card, export.task.monitored
    split = next((name for name in ("test", "validation", *card.metrics) if name in card.metrics), None)
    measured = card.metrics[split] if split else {"images": None, "metrics": {}}
    shape = card.input.height, card.input.width, card.input.channels
    return ComparedNetwork(
        run=str(folder),
        network=card.network,
        data=str(card.source.get("data") or ""),
        split=split or "",
        images=measured["images"],
        metric=export.task.info.metric_titles.get(metric, metric),
        value=measured["metrics"].get(metric),
        parameters=card.parameters,
        macs=card.macs,
        latency=1000 * export.engine.seconds(shape, 1),
        speed=TIMED_BATCH / export.engine.seconds(shape, TIMED_BATCH),
        unit=export.task.info.unit,
    )


def _compare_card(card: Card, options: RuntimeOptions) -> ComparedNetwork:
    """A network's published accuracy, and its speed at the published input with randomly initialized weights."""
    from convolve import models
    from convolve.runtime import choose
    from convolve.summary import summarize

    network = models.create(card.name).eval()
    summary = summarize(network, card.input)
    runtime = choose(**vars(options), macs=summary.macs)
    runtime.prepare(network)
    channels, height, width = card.input
    latency, speed = _time(network, runtime, (height, width, channels))
    return ComparedNetwork(
        run=card.name,
        network=card.label,
        data=_ILSVRC,
        split=PUBLISHED,
        images=None,
        metric=_ACCURACY,
        value=None if card.top1_error is None else round(1 - card.top1_error / 100, 6),
        parameters=summary.parameters,
        macs=summary.macs,
        latency=latency,
        speed=speed,
        evaluation=card.evaluation,
    )


def _compare_baselines(
    found: Sequence[Run | Card | Path], options: Compare, listener: Listener
) -> list[ComparedNetwork]:
    """The baselines that are asked for, on the splits of the first run. Raises `OptionError` where there is none."""
    from convolve.reports.report import format_interval
    from convolve.setup.baselines import measure_baselines
    from convolve.setup.restore import restore_task
    from convolve.training.run import Run

    run = next((one for one in found if isinstance(one, Run)), None)
    if run is None:
        raise OptionError("--baselines are measured on the splits of a run; give the folder of one.")
    task, _ = restore_task(run, options.runtime, listener)
    names = list(dict.fromkeys(options.baselines))
    return [
        ComparedNetwork(
            run=one.name,
            network=one.title,
            data=run.recipe.data or "",
            split=_TEST,
            images=one.images,
            metric=_ACCURACY,
            value=one.accuracy,
            parameters=one.numbers,
            macs=one.macs,
            latency=one.latency,
            speed=one.speed,
            evaluation=f"pixels, {format_interval(one.interval)}; fitted to {one.learned:,} in {one.seconds:.3g} s",
            interval=(one.interval.lower, one.interval.upper),
            seconds=one.seconds,
        )
        for one in measure_baselines(run, task, names, listener)
    ]


def _format_value(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == "%" else f"{value:.2f} {unit}"


def _time(network: Network, runtime: Runtime, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Milliseconds of one image, and images per second in batches."""
    from convolve.runtime import TIMED_BATCH, forward_seconds

    return 1000 * forward_seconds(network, runtime, shape, 1), TIMED_BATCH / forward_seconds(network, runtime, shape)


def _remarks(result: Comparison) -> Iterator[str]:
    if len({(row.data, row.split) for row in result.runs if row.value is not None}) > 1:
        yield "They were not measured on the same data; only metrics on the same data can be compared."
        tested = {row.data for row in result.runs if row.split == _TEST}
        yield from (_remedy(row) for row in result.runs if row.split == _VALIDATION and row.data in tested)
    if len(metrics := _metrics(result)) > 1:
        yield f"{', '.join(metrics)} are different metrics; only values in the same column can be compared."
    if any(row.split == PUBLISHED and row.value is not None for row in result.runs):
        yield (
            "Published accuracies are those of the papers, measured as the table says; speeds are those of randomly "
            "initialized weights."
        )
    converted = [row.run for row in result.runs if row.split == CONVERTED]
    if converted:
        verb = "was" if len(converted) == 1 else "were"
        yield f"{', '.join(converted)} {verb} converted and not measured; `convolve evaluate RUN DATA` does that."
    unmeasured = [row.run for row in result.runs if row.value is None and row.split not in (PUBLISHED, CONVERTED)]
    if unmeasured:
        yield f"{', '.join(unmeasured)}: nothing says how good it is; measure with `convolve evaluate`."
    unknown = [row.network for row in result.runs if row.value is None and row.split == PUBLISHED]
    if unknown:
        verb = "has" if len(unknown) == 1 else "have"
        yield f"{', '.join(unknown)} {verb} no published top-1 error on ILSVRC-2012, and so no accuracy here."


def _remedy(row: ComparedNetwork) -> str:
    """How to measure on the test split what was measured on validation, as an export is."""
    command = f"convolve evaluate {shell_quote(row.run)} {shell_quote(row.data)} --split test"
    return f"{row.run} was measured on validation images; `{command}` measures it on the test split."


def _metrics(result: Comparison) -> list[str]:
    """The metrics that the table holds, in its order."""
    return list(dict.fromkeys(row.metric for row in result.runs if row.value is not None))


def _cost_groups(comparison: Comparison) -> list[CostGroup]:
    """Those with the same metric on the same data together, in the order of the table."""
    from convolve.reports.cost_figure import CostGroup, CostPoint

    points: dict[tuple[str, str], list[CostPoint]] = {}
    for row in comparison.runs:
        if row.value is not None:
            name = row.network if row.split == PUBLISHED else Path(row.run).name
            point = CostPoint(name, row.value, row.macs, row.latency / 1000, row.parameters)
            points.setdefault((f"{Path(row.data).name}, {row.split}", row.metric), []).append(point)
    return [CostGroup(data, found, metric) for (data, metric), found in points.items()]


COMMAND = Command(Compare, run, render)
