"""What long work tells whoever listens: steps of a named piece of work, and remarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """``done`` of ``total`` parts of a piece of work, with a few words on how it goes."""

    work: str
    done: int
    total: int
    detail: str = ""


@dataclass(frozen=True)
class Remark:
    """A sentence that people should read, such as what was chosen automatically and why."""

    text: str


Listener = Callable[[Step | Remark], None]


def silent(event: Step | Remark) -> None:
    """A listener that keeps to itself."""
    del event
