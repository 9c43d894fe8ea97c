"""`convolve networks`: the networks one can train, and one network's layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convolve.command import Command
from convolve.errors import OptionError
from convolve.progress import Listener
from convolve.verbs.networks import catalog, layer_table
from convolve.verbs.networks.catalog import Catalog, Order
from convolve.verbs.networks.layer_table import Layers
from convolve.verbs.picturing import check_figure, write_figure

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Networks:
    """List the networks, or show the layers of one."""

    name: str | None = None
    """Network whose layers to show; without it networks are listed."""
    _: KW_ONLY
    find: str | None = None
    """List only networks with these words in name, title, authors, venue or year."""
    sort: Order | None = None
    """Order of the list: small counts and errors and fast networks first; by year unless said."""
    speed: bool = False
    """Measure the listed networks' images a second in inference, on this machine."""
    input: str | None = None
    """Channels x height x width of its images, such as 3x224x224; the published ones by default."""
    classes: int | None = None
    """Number of classes; the published one by default."""
    figure: Path | None = None
    """Draw the network into this file (.svg or .png)."""


def run(options: Networks, listener: Listener) -> Catalog | Layers:
    """Look the networks up.

    Raises `NetworkError` for an unknown name, words that none has or an input too small, `OptionError` for options of
    the list beside a name and the other way round.
    """
    return _list(options, listener) if options.name is None else _layers(options, options.name)


def shown(result: Catalog | Layers) -> Iterator[RenderableType]:
    """A table of the networks, or of one network's layers with its totals."""
    yield from catalog.shown(result) if isinstance(result, Catalog) else layer_table.shown(result)


def _list(options: Networks, listener: Listener) -> Catalog:
    given = {"input": options.input, "classes": options.classes, "figure": options.figure}
    for name, value in given.items():
        if value is not None:
            raise OptionError(f"--{name} is about one network; name it: `convolve networks NAME --{name} {value}`.")
    if options.sort == "speed" and not options.speed:
        raise OptionError("--sort speed needs speeds; add --speed to measure them.")
    cards = catalog.find(options.find)
    speeds, measured = catalog.measure(cards, listener) if options.speed else ({}, "")
    return Catalog(catalog.ordered(cards, options.sort or "year", speeds), speeds, measured)


def _layers(options: Networks, name: str) -> Layers:
    from convolve import models
    from convolve.summary import outlines, summarize

    for option, value in {"find": options.find, "sort": options.sort, "speed": options.speed or None}.items():
        if value is not None:
            raise OptionError(f"--{option} is about the list of networks; leave it out, or the name '{name}'.")
    check_figure(options.figure)
    card = models.card(name)
    channels, height, width = _input(options.input) if options.input else card.input
    with outlines():
        network = models.create(name, options.classes, channels, (height, width))
    summary = summarize(network, (channels, height, width))
    if options.figure:
        from convolve.reports.network_figure import network_figure

        write_figure(options.figure, network_figure(network, summary), "network")
    return Layers(card, (channels, height, width), summary, options.figure)


def _input(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise OptionError(f"'{text}' is not an input; write channels x height x width, such as 3x224x224.")
    return int(parts[0]), int(parts[1]), int(parts[2])


COMMAND = Command(Networks, run, shown)
