"""`convolve ablate`: what each thing that a recipe has is worth."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import Flat, format_value
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.training.recipe import Recipe

_OFF: Mapping[str, object] = {
    "crop": 1.0,
    **dict.fromkeys(("flip", "vertical_flip"), False),
    **dict.fromkeys(("rotate", "scale", "translate", "noise", "brightness", "contrast", "saturation", "hue"), 0.0),
    **dict.fromkeys(("pca", "mosaic", "multi_scale"), 0.0),
    "schedule": "constant",
    **dict.fromkeys(("warmup", "momentum", "weight_decay", "clip_norm", "ema_decay"), 0.0),
    "bias_rate": 1.0,
    "precise_bn": False,
    "gap": False,
    "weights": "none",
    **dict.fromkeys(("label_smoothing", "mixup"), 0.0),
    "balance": "none",
}
"""The options that can be switched off, and what they are then; those of the network's design are left as its card."""
_WITH_MOMENTUM = ("momentum", "rmsprop")


@dataclass(frozen=True)
class Ablate:
    """Switch off each thing that a recipe has, one at a time, and measure what it was worth."""

    recipe: Path
    """Recipe, or folder of a run: what it leaves open is chosen as in training, and stays so."""
    _: KW_ONLY
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder of the runs; by default a new one in `runs`. Those that have ended there are not repeated."""
    seeds: int = 3
    """Trainings of each recipe, with the seeds 0, 1 and so on; 3 by default."""
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=(), show_default=False)] = ()
    """Options to switch off, such as `rotate weight_decay`; by default all that the recipe has."""
    figure: Path | None = None
    """Draw what each thing is worth into this file (.svg or .png)."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Switch:
    """An option ``name`` with the ``value`` that the recipe has and the one that switches it ``off``; the ``scores`` of
    the seeds without it; ``worth`` is the mean by which the recipe is better with it, and ``interval`` that mean's 95 %
    interval, of Student's t over the seeds' differences, None for a single one.
    """

    name: str
    value: str
    off: str
    scores: tuple[float, ...]
    worth: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Ablated:
    """The ``scores`` of the recipe by ``metric`` on ``split``, one for each seed, and what its parts are worth, the
    most valuable first; the ``folder`` of the runs.
    """

    folder: Path
    metric: str
    split: str
    scores: tuple[float, ...]
    switches: tuple[Switch, ...]
    figure: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`folder`, `metric`, `split`, `scores`, `switches`: one dictionary each; `figure`."""
        figure = str(self.figure) if self.figure else None
        return {**asdict(self), "folder": str(self.folder), "figure": figure}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Ablate, listener: Listener) -> Ablated:
    """Train the recipe and each of its ablations. Raises `ConvolveError`."""
    from convolve.metrics.intervals import mean_interval
    from convolve.reports.figure_file import check_figure, write_figure
    from convolve.training.run import new_folder
    from convolve.verbs.trials import headline, open_recipe, train_once, with_value

    check_figure(options.figure)
    if not 1 <= options.seeds <= 1000:
        raise OptionError(f"seeds cannot be {options.seeds}; it must be a whole number from 1 to 1000.")
    recipe = open_recipe(options.recipe)
    folder = options.out or new_folder(f"ablate-{options.recipe.resolve().stem}")

    def scores_of(each: Recipe, name: str) -> tuple[float, ...]:
        runs = []
        for seed in range(options.seeds):
            listener(Message(f"{name}, seed {seed}"))
            path = folder / name / f"seed-{seed}"
            runs.append(train_once(replace(each, seed=seed), path, options.runtime, listener))
        return tuple(headline(one, _split(one.manifest.results))[1] for one in runs)

    listener(Message(f"the whole recipe, {options.seeds} times"))
    scores = scores_of(recipe, "whole")
    first = train_once(replace(recipe, seed=0), folder / "whole" / "seed-0", options.runtime, listener)
    names = switches(first.recipe)
    unknown = [name for name in options.only if name not in names]
    if unknown:
        raise OptionError(f"The recipe has no {unknown[0]} to switch off; it has {', '.join(names) or 'nothing'}.")
    chosen = {name: off for name, off in names.items() if name in (options.only or names)}
    listener(Message(f"to switch off: {', '.join(chosen) or 'nothing'}; {len(chosen) * options.seeds} trainings"))
    found = []
    for name, off in chosen.items():
        own = scores_of(with_value(first.recipe, name, off), f"without-{name}")
        differences = [whole - without for whole, without in zip(scores, own, strict=True)]
        middle = mean_interval(differences)
        interval = (middle.lower, middle.upper) if options.seeds > 1 else None
        value = format_value(_flat(first.recipe)[name])
        shown = "the card's" if off is None else format_value(off)
        found.append(Switch(name, value, shown, own, statistics.mean(differences), interval))
    found.sort(key=lambda switch: -switch.worth)
    split = _split(first.manifest.results)
    result = Ablated(folder, headline(first, split)[0], split, scores, tuple(found), options.figure)
    if options.figure:
        from convolve.reports.trials_figure import worth_figure

        bars = [(f"{each.name} {each.value}", each.worth, each.interval) for each in found]
        write_figure(options.figure, worth_figure(bars, result.metric), "ablate")
    return result


def switches(recipe: Recipe) -> dict[str, object]:
    """What a resolved recipe has that can be switched off, with the value that does so."""
    from convolve.options import fields
    from convolve.training.recipe import Recipe

    known = _flat(recipe)
    found: dict[str, object] = {}
    for name, off in _OFF.items():
        value = known.get(name)
        without_effect = name == "momentum" and known["optimizer"] not in _WITH_MOMENTUM
        if value is not None and value != off and not without_effect:
            found[name] = off
    design = [option.name for option in fields(Recipe) if option.path[0] == "design"]
    return found | {name: None for name in design if known.get(name) is not None}


def render(result: Ablated) -> Iterator[RenderableType]:
    """A table with what each thing is worth, and where the runs are."""
    from rich.table import Table

    from convolve.verbs.trials import format_scores

    table = Table("without", "recipe has", "instead", box=None, header_style="bold")
    for heading in (f"{result.metric}, {result.split}", "worth, points", "95 % interval"):
        table.add_column(heading, justify="right")
    table.add_row("nothing", "", "", format_scores(result.scores), "", "")
    for switch in result.switches:
        ends = "" if switch.interval is None else " to ".join(f"{100 * end:+.1f}" for end in switch.interval)
        scores = format_scores(switch.scores)
        table.add_row(switch.name, switch.value, switch.off, scores, f"{100 * switch.worth:+.1f}", ends)
    yield table
    yield f"runs    {result.folder}"
    if result.figure:
        yield f"figure  {result.figure}"


def _flat(recipe: Recipe) -> dict[str, object]:
    from convolve.training.recipe import values

    return {**values(recipe), **recipe.task_options}


def _split(results: Mapping[str, Any]) -> str:
    return "test" if "test" in results else "validation"


COMMAND = Command(Ablate, run, render)
