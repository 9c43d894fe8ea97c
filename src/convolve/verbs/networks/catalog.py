"""The list of networks: searched, sorted, and with the speed of each on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convolve.errors import NetworkError, OptionError
from convolve.progress import Listener, Message, Progress
from convolve.verbs.networks.published import SINGLE_MODEL, SINGLE_MODEL_SOURCE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.models import Card
    from convolve.tasks.info import TaskInfo

Order = Literal["name", "year", "parameters", "macs", "top1", "top5", "speed"]


@dataclass(frozen=True)
class Catalog:
    """The networks' cards in their order; ``speeds`` are images per second of those that were measured, by name."""

    cards: tuple[Card, ...]
    speeds: dict[str, float]
    measured: str = ""

    def as_json(self) -> dict[str, Any]:
        """`networks`: the cards as dictionaries, each with its `speed` or null, and the errors of a `single_model` at
        its best, or null; and how speeds were `measured`.
        """
        best = {name: errors._asdict() for name, errors in SINGLE_MODEL.items()}
        cards = [
            dataclasses.asdict(card) | {"speed": self.speeds.get(card.name), "single_model": best.get(card.name)}
            for card in self.cards
        ]
        return {"networks": cards, "measured": self.measured}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def find(text: str | None = None, task: TaskInfo | None = None) -> list[Card]:
    """The cards that have every word of ``text``, of the networks that can be trained for a ``task``; oldest first.

    Raises `NetworkError` when there is none, `OptionError` for a task that is not trained.
    """
    from convolve import models

    if task and task.untrained:
        raise OptionError(task.untrained)
    words = (text or "").casefold().split()
    cards = [models.card(name) for name in models.names()]
    cards = [card for card in cards if task is None or _is_for(card, task)]
    texts = [f"{card.name} {card.title} {card.authors} {card.venue} {card.year or ''}".casefold() for card in cards]
    found = [card for card, searched in zip(cards, texts, strict=True) if all(word in searched for word in words)]
    if not found and not words:
        raise NetworkError("No network of the list can be trained for this task; choose another --task.")
    if not found:
        kind = f"network for the task '{task.name}'" if task else "network"
        raise NetworkError(f"No {kind} has '{text}' in its name, title, authors, venue or year; try fewer words.")
    return found


def _is_for(card: Card, task: TaskInfo) -> bool:
    """Whether a network, or the counterpart that is trained of a classifier, has an output of the task's."""
    from convolve import models

    try:
        trained = models.card_of_counterpart(card, task.classifiers_as)
    except NetworkError:
        return False
    return trained.output in (task.output, *task.other_outputs)


def sort(cards: Sequence[Card], order: Order, speeds: dict[str, float]) -> tuple[Card, ...]:
    """By name or year ascending, lowest counts or errors first, or highest speed first; unknown values last."""

    def key(card: Card) -> tuple[bool, Any]:
        speed = speeds.get(card.name)
        values = {"top1": card.top1_error, "top5": card.top5_error, "speed": -speed if speed else None}
        value = values[order] if order in values else getattr(card, order)
        return value is None, value if value is not None else 0

    return tuple(sorted(cards, key=key))


def measure(cards: Sequence[Card], listener: Listener) -> tuple[dict[str, float], str]:
    """Images per second of each network at its published input, and how they were measured.

    The first Ctrl-C stops after the current network and keeps what was measured; the second one stops at once.
    """
    import torch

    from convolve.runtime import TIMED_BATCH
    from convolve.training.interrupt import Interruption

    speeds: dict[str, float] = {}
    reasons: dict[str, None] = {}
    threads = torch.get_num_threads()
    try:
        with Interruption() as interruption:
            for index, card in enumerate(cards):
                listener(Progress("measure", index, len(cards), card.name))
                speeds[card.name], chosen = _speed(card)
                reasons |= dict.fromkeys(chosen)
                if interruption.requested:
                    listener(Message(f"Stopped after {len(speeds)} of {len(cards)} networks."))
                    break
    finally:
        torch.set_num_threads(threads)
    listener(Progress("measure", len(speeds), len(cards)))
    return speeds, f"inference with batches of {TIMED_BATCH} at the listed input, on this machine; {'; '.join(reasons)}"


def render(result: Catalog) -> Iterator[RenderableType]:
    """A table with one network per row."""
    from rich.table import Table

    table = Table("name", "paper", "year", "input", box=None, header_style="bold")
    headings = ("parameters", "multiply-adds", "top-1 error", "top-5 error", "single model")
    for heading in (*headings, "images/s") if result.speeds else headings:
        table.add_column(heading, justify="right")
    for card in result.cards:
        errors = [f"{error:.1f} %" if error else "" for error in (card.top1_error, card.top5_error)]
        best = SINGLE_MODEL.get(card.name)
        errors.append(f"{best.top1 or '-'} / {best.top5} %" if best else "")
        counts = (f"{count:,}" if count else "" for count in (card.parameters, card.macs))
        speed = result.speeds.get(card.name)
        speeds = [f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"] if speed else []
        table.add_row(
            card.name, card.authors, str(card.year or ""), "x".join(map(str, card.input)), *counts, *errors, *speeds
        )
    yield table
    if any(card.name in SINGLE_MODEL for card in result.cards):
        yield f"single model: {SINGLE_MODEL_SOURCE}"
    if result.speeds:
        yield f"images/s: {result.measured}"


def _speed(card: Card) -> tuple[float, tuple[str, ...]]:
    from convolve import models
    from convolve.runtime import TIMED_BATCH, choose, forward_seconds

    network = models.create(card.name).eval()
    runtime = choose(macs=card.macs)
    runtime.prepare(network)
    channels, height, width = card.input
    return TIMED_BATCH / forward_seconds(network, runtime, (height, width, channels)), runtime.reasons
