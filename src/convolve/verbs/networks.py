"""`convolve networks`: the networks one can train, and one network's layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from convolve.errors import OptionError
from convolve.progress import Listener
from convolve.verbs.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.networks import Card
    from convolve.summary import LayerRow, Summary


@dataclass(frozen=True)
class Networks:
    """List the networks, or show the layers of one."""

    name: str | None = None
    """Network whose layers to show; without it all networks are listed."""
    _: KW_ONLY
    input: str | None = None
    """Channels x height x width of its images, such as 3x224x224; the published ones by default."""
    classes: int | None = None
    """Number of classes; the published one by default."""


@dataclass(frozen=True)
class Catalogue:
    """Every network's card."""

    cards: tuple[Card, ...]

    def as_json(self) -> dict[str, Any]:
        """`networks`: the cards as dictionaries."""
        return {"networks": [dataclasses.asdict(card) for card in self.cards]}


@dataclass(frozen=True)
class Layers:
    """One network's layer table."""

    card: Card
    summary: Summary

    def as_json(self) -> dict[str, Any]:
        """`name`, and the summary's totals and layers in forward order."""
        return {"name": self.card.name, **dataclasses.asdict(self.summary)}


def run(options: Networks, listener: Listener) -> Catalogue | Layers:
    """Look the networks up. Raises `NetworkError` for an unknown name or an input too small for it."""
    del listener
    from convolve import networks
    from convolve.summary import summarize

    if options.name is None:
        return Catalogue(tuple(networks.card(name) for name in networks.names()))
    card = networks.card(options.name)
    channels, height, width = _input(options.input) if options.input else card.input
    network = networks.create(options.name, options.classes, channels, (height, width))
    return Layers(card, summarize(network, (channels, height, width)))


def shown(result: Catalogue | Layers) -> Iterator[RenderableType]:
    """A table of the networks, or of one network's layers with its totals."""
    yield from _shown_catalogue(result) if isinstance(result, Catalogue) else _shown_layers(result)


def _shown_catalogue(result: Catalogue) -> Iterator[RenderableType]:
    from rich.table import Table

    table = Table("name", "paper", "year", "input", box=None, header_style="bold")
    for heading in ("parameters", "multiply-adds", "top-1 error", "top-5 error"):
        table.add_column(heading, justify="right")
    for card in result.cards:
        figures = (f"{error:.1f} %" if error else "" for error in (card.top1_error, card.top5_error))
        counts = (f"{count:,}" if count else "" for count in (card.parameters, card.macs))
        size = "x".join(map(str, card.input))
        table.add_row(card.name, card.authors, str(card.year), size, *counts, *figures)
    yield table


def _shown_layers(result: Layers) -> Iterator[RenderableType]:
    from rich.table import Table

    summary = result.summary
    table = Table("layer", "type", "kernel", "output", box=None, header_style="bold")
    for heading in ("parameters", "multiply-adds", "sees"):
        table.add_column(heading, justify="right")
    for row in summary.layers:
        output = "x".join(map(str, row.output))
        table.add_row(
            row.name,
            row.type,
            _kernel(row),
            output,
            f"{row.parameters:,}",
            f"{row.macs:,}",
            f"{row.receptive_field.size:g}",
        )
    yield table
    yield (
        f"{summary.parameters:,} parameters ({summary.trainable:,} trainable), {summary.macs:,} multiply-adds, "
        f"{summary.weight_bytes / 2**20:.1f} MiB of weights, {summary.activation_bytes / 2**20:.1f} MiB of activations"
        "; `sees`: side of the receptive field"
    )


def _kernel(row: LayerRow) -> str:
    """Such as `3x3/2 pad 1`: the window, its stride and the padding, down x across where they differ."""
    if row.kernel is None or row.stride is None or row.padding is None:
        return ""
    stride, padding = ("x".join(map(str, dict.fromkeys(pair))) for pair in (row.stride, row.padding))
    return f"{row.kernel[0]}x{row.kernel[1]}/{stride}" + (f" pad {padding}" if any(row.padding) else "")


def _input(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise OptionError(f"'{text}' is not an input; write channels x height x width, such as 3x224x224.")
    return int(parts[0]), int(parts[1]), int(parts[2])


VERB = Verb(Networks, run, shown)
