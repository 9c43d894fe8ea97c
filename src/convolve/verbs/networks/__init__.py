"""`convolve networks`: the list of networks, one network's layers, several side by side, and files of official
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import OptionError
from convolve.layers.design import Design, flags
from convolve.options import Flat
from convolve.progress import Listener
from convolve.tasks.registry import find_task
from convolve.verbs.networks import catalog, comparison, layer_table, weight_files, winners
from convolve.verbs.networks.catalog import Catalog, Order
from convolve.verbs.networks.comparison import NetworkComparison
from convolve.verbs.networks.layer_table import Layers
from convolve.verbs.networks.weight_files import WeightFiles
from convolve.verbs.networks.winners import Winners

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Networks:
    """List the networks, show the layers of one, or several side by side."""

    name: str | None = None
    """Network whose layers to show: a name, its layers as a text, or a file, as `convolve train` takes them; without
    it, all networks are listed."""
    others: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """More networks, to compare with it side by side."""
    _: KW_ONLY
    find: str | None = None
    """List only networks that have all these words in their name, title, authors, venue or year."""
    sort: Order | None = None
    """Order of the list: lowest counts and errors, or highest speed, first; year by default."""
    speed: bool = False
    """Measure each listed network's inference speed on this machine, in images/s."""
    input: str | None = None
    """Input size as channels x height x width, such as 3x224x224; the published one by default, of layers as a text
    1x28x28 if they can take it."""
    classes: int | None = None
    """Number of classes; the published one by default."""
    task: str | None = None
    """List only networks that `convolve train` takes for this task, such as `segment`."""
    figure: Path | None = None
    """Write a drawing of the network to this file (.svg or .png)."""
    weights: bool = False
    """List the official weights that are on this machine: network, size, path and source."""
    fetch: bool = False
    """Fetch the network's official weights now, for a training later."""
    winners: bool = False
    """List the winners of ILSVRC from 2010 to 2017 and their errors; `--figure` draws them."""
    design: Annotated[Design, Flat, Parameter(group="Network design")] = field(default_factory=Design)


def run(options: Networks, listener: Listener) -> Catalog | Layers | NetworkComparison | Winners | WeightFiles:
    """List the networks or the files of weights, summarize a network, compare several, or fetch one's weights.

    Raises `NetworkError` for an unknown name, words that no network has or an input that is too small, `OptionError`
    for options of the list together with a name, and for options of one network without a name; `WeightsError` for
    weights that cannot be fetched.
    """
    if options.winners:
        if options != Networks(winners=True, figure=options.figure):
            raise OptionError("--winners lists the winners of ILSVRC; give it alone, or with --figure.")
        return winners.find_winners(options.figure)
    if options.name is None:
        return _list(options, listener)
    if options.others:
        return _compare(options, (options.name, *options.others))
    return _fetch(options, options.name, listener) if options.fetch else _layers(options, options.name)


def render(result: Catalog | Layers | NetworkComparison | Winners | WeightFiles) -> Iterator[RenderableType]:
    """A table of the networks, of one network's layers with its totals, of several networks, of winners, or of files of
    weights.
    """
    match result:
        case Catalog():
            yield from catalog.render(result)
        case Layers():
            yield from layer_table.render(result)
        case NetworkComparison():
            yield from comparison.render(result)
        case Winners():
            yield from winners.render(result)
        case WeightFiles():
            yield from weight_files.render(result)


def _list(options: Networks, listener: Listener) -> Catalog | WeightFiles:
    needing = {"input": options.input, "classes": options.classes, "figure": options.figure, "fetch": options.fetch}
    for name, value in needing.items():
        if value not in (None, False):
            shown = "" if value is True else f" {value}"
            raise OptionError(f"--{name} needs a network; write `convolve networks NAME --{name}{shown}`.")
    if changed := flags(options.design):
        raise OptionError(f"{changed} needs a network; write `convolve networks NAME {changed}`.")
    if options.weights:
        if options != Networks(weights=True):
            raise OptionError("--weights lists files of weights; give it without other options.")
        return weight_files.find_all()
    if options.sort == "speed" and not options.speed:
        raise OptionError("--sort speed needs measured speeds; add --speed.")
    cards = catalog.find(options.find, find_task(options.task).info if options.task else None)
    speeds, measured = catalog.measure(cards, listener) if options.speed else ({}, "")
    return Catalog(catalog.sort(cards, options.sort or "year", speeds), speeds, measured)


def _fetch(options: Networks, name: str, listener: Listener) -> WeightFiles:
    if options != Networks(name, fetch=True):
        raise OptionError("--fetch only fetches the network's weights; give it without other options.")
    return weight_files.fetch(name, listener)


def _compare(options: Networks, names: tuple[str, ...]) -> NetworkComparison:
    for option, value in {"figure": options.figure, "fetch": options.fetch}.items():
        if value:
            raise OptionError(f"--{option} is for one network; leave out --{option} or all names but one.")
    return NetworkComparison(
        tuple(_layers(replace(options, name=name, others=()), name) for name in dict.fromkeys(names))
    )


def _layers(options: Networks, name: str) -> Layers:
    from convolve import models
    from convolve.models.design_sites import applicable
    from convolve.reports.figure_file import check_figure, write_figure
    from convolve.summary import shapes_only, summarize

    for option, value in {
        "find": options.find,
        "task": options.task,
        "sort": options.sort,
        "speed": options.speed or None,
        "weights": options.weights or None,
    }.items():
        if value is not None:
            raise OptionError(f"--{option} is for the list of networks; leave out --{option} or the name '{name}'.")
    check_figure(options.figure)
    card = models.card(name)
    channels, height, width = _input(options.input) if options.input else card.input
    with shapes_only():
        knobs = applicable(models.create(name)) if models.takes_design(name) else ("initializer",)
        network = models.create(name, options.classes, channels, (height, width), design=options.design)
    summary = summarize(network, (channels, height, width))
    if options.figure:
        from convolve.reports.network_figure import network_figure

        write_figure(options.figure, network_figure(network, summary), "network")
    return Layers(card, (channels, height, width), summary, options.figure, options.design, knobs)


def _input(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise OptionError(f"'{text}' is not an input size; write channels x height x width, such as 3x224x224.")
    return int(parts[0]), int(parts[1]), int(parts[2])


COMMAND = Command(Networks, run, render)
