"""What long work reports to whoever listens: its progress, and messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

_SECONDS_BETWEEN_REPORTS: Final = 0.1
_QUICK = 1.0  # seconds


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


@final
class Pace:
    """Reports how much of some work is done, ten times a second at most and at the end, with its speed and time left;
    nothing of work that is done in less than a second.

    ``unit`` is what is counted, such as `images`.
    """

    def __init__(self, listener: Listener, work: str, total: int, unit: str) -> None:
        self._listener, self._work, self._total, self._unit = listener, work, total, unit
        self._started = time.monotonic()
        self._reported: float | None = None

    def __call__(self, done: int) -> None:
        """Report, if it is time."""
        now = time.monotonic()
        if self._reported is None and now - self._started < _QUICK:
            return
        if self._reported is not None and now - self._reported < _SECONDS_BETWEEN_REPORTS and done < self._total:
            return
        self._reported, speed = now, done / max(now - self._started, 1e-9)
        words = [f"{speed:,.0f} {self._unit}/s" if speed >= 10 else f"{speed:.2f} {self._unit}/s"]
        words += [f"{format_duration((self._total - done) / speed)} left"] if 0 < done < self._total else []
        self._listener(Progress(self._work, done, self._total, ", ".join(words)))


def format_duration(seconds: float) -> str:
    """A length of time: `8 s`, `3 min 40 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{max(whole, 1)} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def silent(event: Progress | Message) -> None:
    """A listener that ignores everything."""
    del event
