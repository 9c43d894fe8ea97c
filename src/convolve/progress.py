"""What long work reports to whoever listens: its progress, and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` parts of a piece of work, with a few words on its state."""

    work: str
    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True)
class Message:
    """A sentence that people should read, such as what was chosen automatically and why."""

    text: str


Listener = Callable[[Progress | Message], None]


def silent(event: Progress | Message) -> None:
    """A listener that ignores everything."""
    del event
