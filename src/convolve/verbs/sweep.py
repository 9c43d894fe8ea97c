"""`convolve sweep`: which values of its options suit a recipe, chosen on the validation split."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import Interrupted, OptionError, TrainingError
from convolve.options import Flat
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.training.recipe import Recipe

_MOST = 1000
_Values = Mapping[str, object]


@dataclass(frozen=True)
class Grid:
    """What is tried: a list such as `0.01,0.1`, or a range such as `1e-4:1e-1`, evenly spread over its logarithm."""

    learning_rate: Annotated[str | None, Parameter(alias="--lr")] = None
    """Learning rates: the highest that the schedule reaches."""
    weight_decay: str | None = None
    """Weight decays, such as 0,0.0005,0.05."""
    momentum: str | None = None
    """Momenta of `momentum`, `nesterov` and `rmsprop`."""
    batch: str | None = None
    """Numbers of images per step."""
    epochs: str | None = None
    """Passes over the training images."""
    size: str | None = None
    """Heights and widths of the input."""
    warmup: str | None = None
    """Epochs of warm-up."""
    clip_norm: str | None = None
    """Maximum gradient norms."""
    ema_decay: str | None = None
    """Decays of the average of the weights."""
    crop: str | None = None
    """Smallest random crops."""
    rotate: str | None = None
    """Random rotations, in degrees."""
    scale: str | None = None
    """Random changes of scale."""
    translate: str | None = None
    """Random shifts, in fractions of the input."""
    subset: str | None = None
    """Numbers of training images."""
    optimizer: str | None = None
    """Update rules, such as sgd,adam."""
    schedule: str | None = None
    """Schedules of the learning rate."""
    network: str | None = None
    """Networks, such as lenet5,lenet5_keras."""


@dataclass(frozen=True)
class Sweep:
    """Train a recipe with several values of its options; the best are chosen on the validation split, and the test
    split is used once, for them.
    """

    recipe: Path
    """Recipe, or folder of a run: what it leaves open is chosen for each training."""
    _: KW_ONLY
    grid: Annotated[Grid, Flat, Parameter(group="Values to try, a list `0.01,0.1` or a range `1e-4:1e-1`")] = field(
        default_factory=Grid
    )
    points: int = 5
    """Values of each range, its ends among them; 5 by default."""
    seeds: int = 1
    """Trainings of each combination, with the seeds 0, 1 and so on; 1 by default."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder of the runs; by default a new one in `runs`. Those that have ended there are not repeated."""
    figure: Path | None = None
    """Draw the metric over the values, of one option or two, into this file (.svg or .png)."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Tried:
    """A combination of ``values`` by option, and the ``scores`` of its seeds on the validation split; ``error`` is why
    it has none.
    """

    values: _Values
    scores: tuple[float, ...]
    error: str = ""


@dataclass(frozen=True)
class Swept:
    """All that was ``tried``, in order; the ``best`` by the mean of ``metric`` on the validation split, its ``test``
    scores and number of test ``images``, none where there is no test split; the ``folder`` of the runs and the best
    one's ``recipe``.
    """

    folder: Path
    metric: str
    tried: tuple[Tried, ...]
    best: Tried
    test: tuple[float, ...]
    images: int
    recipe: Path
    figure: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`folder`, `metric`, `tried` and `best`: dictionaries; `test`, `images`, `recipe`, `figure`."""
        figure = str(self.figure) if self.figure else None
        return {**asdict(self), "folder": str(self.folder), "recipe": str(self.recipe), "figure": figure}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Sweep, listener: Listener) -> Swept:
    """Train every combination. Raises `OptionError` for values that cannot be, and `TrainingError` where none ends."""
    from convolve.reports.figure_file import check_figure, write_figure
    from convolve.training.run import new_folder, open_run
    from convolve.verbs.trials import headline, open_recipe

    check_figure(options.figure)
    for name in ("points", "seeds"):
        if not 1 <= getattr(options, name) <= _MOST:
            given = getattr(options, name)
            raise OptionError(f"{name} cannot be {given}; it must be a whole number from 1 to {_MOST}.")
    grid = read_grid(options)
    if options.figure and not _can_be_drawn(grid):
        raise OptionError("A figure shows one option with numbers, or two; leave out --figure.")
    recipe = open_recipe(options.recipe)
    combinations = [dict(zip(grid, each, strict=True)) for each in itertools.product(*grid.values())]
    changed = [_changed(recipe, each) for each in combinations]  # so that a wrong value is known before the first one
    folder = options.out or new_folder(f"sweep-{options.recipe.resolve().stem}")
    listener(Message(f"{len(combinations)} combinations, {len(combinations) * options.seeds} trainings in {folder}"))
    tried = [
        _try(values, each, folder / _name(values), options, listener)
        for values, each in zip(combinations, changed, strict=True)
    ]
    ended = [one for one in tried if one.scores]
    if not ended:
        raise TrainingError(f"None of the {len(tried)} combinations could be trained; the first: {tried[0].error}")
    best = max(ended, key=lambda one: statistics.mean(one.scores))
    paths = [folder / _name(best.values) / f"seed-{seed}" for seed in range(options.seeds)]
    metric, _ = headline(open_run(paths[0]), "validation")
    test, images = _test(paths, options.runtime, listener)
    result = Swept(folder, metric, tuple(tried), best, test, images, paths[0] / "recipe.toml", options.figure)
    if options.figure:
        write_figure(options.figure, _figure(result, grid), "sweep")
    return result


def read_grid(options: Sweep) -> dict[str, list[object]]:
    """The values of each option that is tried. Raises `OptionError`."""
    from convolve.options import fields
    from convolve.training.recipe import Recipe

    kinds = {option.name: option.type for option in fields(Recipe)}
    texts = {name: text for name, text in vars(options.grid).items() if text is not None}
    if not texts:
        raise OptionError("Name what to try, such as --learning-rate 1e-4:1e-1; `convolve sweep --help` lists it.")
    grid = {name: list(dict.fromkeys(_read(name, text, kinds[name], options.points))) for name, text in texts.items()}
    total = math.prod(map(len, grid.values())) * options.seeds
    if total > _MOST:
        raise OptionError(f"These are {total:,} trainings; try fewer values, or fewer --points.")
    return grid


def render(result: Swept) -> Iterator[RenderableType]:
    """A table of all combinations, the best one, its test metric, and how to go on with it."""
    from rich.table import Table
    from rich.text import Text

    from convolve.verbs.trials import format_scores

    table = Table(box=None, header_style="bold")
    for name in result.best.values:
        table.add_column(name, justify="right")
    table.add_column(f"{result.metric}, validation", justify="right")
    table.add_column("")
    for one in result.tried:
        values = (f"{value:g}" if isinstance(value, float) else str(value) for value in one.values.values())
        score = format_scores(one.scores) if one.scores else one.error
        table.add_row(*map(Text, values), Text(score), "best" if one == result.best else "")
    yield table
    if result.test:
        yield f"{result.metric} of the best on the {result.images:,} test images  {_with_interval(result)}"
    yield f"recipe  {result.recipe}"
    yield f"runs    {result.folder}"
    if result.figure:
        yield f"figure  {result.figure}"


def _with_interval(result: Swept) -> str:
    """The test scores; of a single accuracy with its interval."""
    from convolve.metrics.intervals import accuracy_interval
    from convolve.reports.report import format_interval
    from convolve.verbs.trials import format_scores

    text = format_scores(result.test)
    if len(result.test) > 1 or result.metric != "accuracy":
        return text
    return f"{text} ({format_interval(accuracy_interval(round(result.test[0] * result.images), result.images))})"


def _read(name: str, text: str, kind: Any, points: int) -> Sequence[object]:
    """The values in a text, of the type that the recipe has."""
    import numpy as np

    flag = f"--{name.replace('_', '-')}"
    kinds = [each for each in get_args(kind) if each is not type(None)]
    if any(get_origin(each) is Literal or each is str for each in kinds):
        return [part.strip() for part in text.split(",")]
    number: type[int | float] = int if int in kinds else float
    try:
        if ":" in text:
            low, high = (float(part) for part in text.split(":"))
            if not 0 < low < high < math.inf:
                raise OptionError(f"{flag} {text} is no range: give two numbers above 0, the smaller one first.")
            spread = [float(f"{value:.4g}") for value in np.geomspace(low, high, points)]
            return [round(value) for value in spread] if number is int else spread
        return [number(part) for part in text.split(",")]
    except ValueError as error:
        what = "whole numbers" if number is int else "numbers"
        raise OptionError(
            f"{flag} {text} is neither a list of {what} such as 16,32 nor a range such as 8:128."
        ) from error


def _changed(recipe: Recipe, values: _Values) -> Recipe:
    """The recipe with some values. Raises `OptionError` for one that an option cannot have."""
    from convolve import models
    from convolve.options import build
    from convolve.training.recipe import Recipe, check, override

    found = override(recipe, build(Recipe, values))
    check(found, {})
    if "network" in values:
        models.card(found.network or "")
    return found


def _try(values: _Values, recipe: Recipe, folder: Path, options: Sweep, listener: Listener) -> Tried:
    """One combination with every seed; that the loss became infinite is a result, too."""
    from convolve.verbs.trials import headline, train_once

    scores = []
    for seed in range(options.seeds):
        listener(Message(f"{folder.name}, seed {seed}"))
        path = folder / f"seed-{seed}"
        try:
            run = train_once(replace(recipe, seed=seed), path, options.runtime, listener, validate_only=True)
        except Interrupted:  # which is a TrainingError, too, but says nothing of these values
            raise
        except TrainingError as error:
            return Tried(values, (), str(error).partition(";")[0])
        scores.append(headline(run, "validation")[1])
    return Tried(values, tuple(scores))


def _test(paths: Sequence[Path], runtime: RuntimeOptions, listener: Listener) -> tuple[tuple[float, ...], int]:
    """The metric of each of the best runs on its test split, and the number of its images; none without a split."""
    from convolve.training.run import open_run, read_split_names
    from convolve.verbs import evaluate

    scores, images = [], 0
    for path in paths:
        run = open_run(path)
        if not read_split_names(run)[0]["test"]:
            return (), 0
        found = evaluate.run(evaluate.Evaluate(path, split="test", runtime=runtime), listener).evaluation
        scores.append(float(found.metrics[run.manifest.monitored]))
        images = found.images
    return tuple(scores), images


def _can_be_drawn(grid: Mapping[str, Sequence[object]]) -> bool:
    return len(grid) <= 2 and isinstance(next(iter(grid.values()))[0], int | float)


def _figure(result: Swept, grid: Mapping[str, Sequence[object]]) -> Any:
    from convolve.reports.trials_figure import sweep_figure

    first, *others = grid
    lines: dict[str, list[tuple[float, Sequence[float]]]] = {}
    for one in result.tried:
        name = ", ".join(f"{other} {one.values[other]}" for other in others)
        if one.scores:
            lines.setdefault(name, []).append((float(str(one.values[first])), one.scores))
    numbers = [float(str(value)) for value in grid[first]]
    logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) > 5
    return sweep_figure(lines, first.replace("_", " "), result.metric, logarithmic)


def _name(values: _Values) -> str:
    """A folder's name for a combination."""
    return "_".join(f"{name}-{value}" for name, value in values.items()).replace("/", "-")


COMMAND = Command(Sweep, run, render)
