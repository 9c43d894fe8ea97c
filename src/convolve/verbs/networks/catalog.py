"""The list of networks: which are found, in which order, and how fast each is here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convolve.errors import NetworkError
from convolve.progress import Listener, Remark, Step
from convolve.verbs.timing import BATCH, seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.models import Card

Order = Literal["name", "year", "parameters", "macs", "top1", "top5", "speed"]


@dataclass(frozen=True)
class Catalog:
    """Networks' cards in the order asked for; ``speeds`` are images a second by name, of those that were measured."""

    cards: tuple[Card, ...]
    speeds: dict[str, float]
    measured: str = ""

    def as_json(self) -> dict[str, Any]:
        """`networks`: the cards as dictionaries, each with its `speed` or null; and how speeds were `measured`."""
        cards = [dataclasses.asdict(card) | {"speed": self.speeds.get(card.name)} for card in self.cards]
        return {"networks": cards, "measured": self.measured}


def find(text: str | None) -> list[Card]:
    """The cards that have every word of ``text``, oldest first; all without a text. Raises `NetworkError` for none."""
    from convolve import models

    words = (text or "").casefold().split()
    cards = [models.card(name) for name in models.names()]
    found = [card for card in cards if all(word in _described(card) for word in words)]
    if not found:
        raise NetworkError(f"No network has '{text}' in its name, title, authors, venue or year; try fewer words.")
    return found


def ordered(cards: Sequence[Card], order: Order, speeds: dict[str, float]) -> tuple[Card, ...]:
    """Names and years upwards, small counts and errors first, fast networks first; what is not known last."""

    def place(card: Card) -> tuple[bool, Any]:
        speed = speeds.get(card.name)
        values = {"top1": card.top1_error, "top5": card.top5_error, "speed": -speed if speed else None}
        value = values[order] if order in values else getattr(card, order)
        return value is None, value if value is not None else 0

    return tuple(sorted(cards, key=place))


def measure(cards: Sequence[Card], listener: Listener) -> tuple[dict[str, float], str]:
    """Images a second of each network at its published input, and how that was measured.

    The first Ctrl-C ends the measuring when the network at hand is done, and what was measured stays; the second one
    interrupts at once.
    """
    import torch

    from convolve.training.interrupt import Interruption

    speeds: dict[str, float] = {}
    reasons: dict[str, None] = {}
    threads = torch.get_num_threads()
    try:
        with Interruption() as interruption:
            for place, card in enumerate(cards):
                listener(Step("measure", place, len(cards), card.name))
                speeds[card.name], chosen = _speed(card)
                reasons |= dict.fromkeys(chosen)
                if interruption.asked:
                    listener(Remark(f"Stopped after {len(speeds)} of {len(cards)} networks."))
                    break
    finally:
        torch.set_num_threads(threads)
    listener(Step("measure", len(speeds), len(cards)))
    return speeds, f"inference in batches of {BATCH} at the input listed, on this machine; {'; '.join(reasons)}"


def shown(result: Catalog) -> Iterator[RenderableType]:
    """A table, a network to a line."""
    from rich.table import Table

    table = Table("name", "paper", "year", "input", box=None, header_style="bold")
    headings = ("parameters", "multiply-adds", "top-1 error", "top-5 error")
    for heading in (*headings, "images/s") if result.speeds else headings:
        table.add_column(heading, justify="right")
    for card in result.cards:
        errors = (f"{error:.1f} %" if error else "" for error in (card.top1_error, card.top5_error))
        counts = (f"{count:,}" if count else "" for count in (card.parameters, card.macs))
        speed = result.speeds.get(card.name)
        speeds = [f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"] if speed else []
        table.add_row(
            card.name, card.authors, str(card.year), "x".join(map(str, card.input)), *counts, *errors, *speeds
        )
    yield table
    if result.speeds:
        yield f"images/s: {result.measured}"


def _described(card: Card) -> str:
    return " ".join((card.name, card.title, card.authors, card.venue, str(card.year))).casefold()


def _speed(card: Card) -> tuple[float, tuple[str, ...]]:
    from convolve import models
    from convolve.runtime import choose

    network = models.create(card.name).eval()
    runtime = choose(macs=card.macs)
    runtime.prepare(network)
    channels, height, width = card.input
    return BATCH / seconds(network, runtime, (height, width, channels)), runtime.reasons
