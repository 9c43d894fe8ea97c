"""What hangs on the training loop's two events, and the two things that usually do: progress and times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from convolve.files import append_text
from convolve.progress import Listener, Step
from convolve.training.state import State


@final
@dataclass(frozen=True)
class Events:
    """Functions of the state, called in order after each step and after each epoch; ``str`` lists them.

    They look and must not change anything.
    """

    step: tuple[Callable[[State], None], ...] = ()
    epoch: tuple[Callable[[State], None], ...] = ()

    def after_step(self, state: State) -> None:
        """Call what hangs on steps."""
        for call in self.step:
            call(state)

    def after_epoch(self, state: State) -> None:
        """Call what hangs on epochs."""
        for call in self.epoch:
            call(state)

    def __str__(self) -> str:
        lines = (("after each step", self.step), ("after each epoch", self.epoch))
        return "\n".join(f"{when}: {', '.join(_name(call) for call in calls) or 'nothing'}" for when, calls in lines)


@final
class Bar:
    """Tells a listener how far the training is, in images, every so many ``seconds`` at most."""

    def __init__(self, listener: Listener, epochs: int, images: int, seconds: float = 0.1) -> None:
        self._listener = listener
        self._epochs, self._images, self._seconds = epochs, images, seconds
        self._started = self._told = time.monotonic()
        self._first: int | None = None

    def __call__(self, state: State) -> None:
        """Tell, if it is time."""
        done, now = state.epoch * self._images + state.seen, time.monotonic()
        if self._first is None:
            self._first, self._started = done, now
        if now - self._told < self._seconds:
            return
        self._told = now
        total = self._epochs * self._images
        speed = (done - self._first) / (now - self._started) if now > self._started else 0.0
        words = [f"epoch {min(state.epoch + 1, self._epochs)} of {self._epochs}"]
        words += [f"{name} {value:.3f}" for name, value in state.figures.items()]
        if speed:
            words += [f"{speed:,.0f} images/s", f"{duration((total - done) / speed)} left"]
        self._listener(Step("training", done, total, ", ".join(words)))


@final
class Times:
    """Appends each epoch's seconds to a file of JSON lines, apart from the figures that repeat bit for bit."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._since = time.monotonic()

    def __call__(self, state: State) -> None:
        """Write the epoch's line."""
        now = time.monotonic()
        line = {"epoch": state.epoch, "seconds": round(now - self._since, 3)}
        self._since = now
        append_text(self._place, json.dumps(line) + "\n")


def duration(seconds: float) -> str:
    """Words for a length of time: `8 s`, `3 min 40 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{max(whole, 1)} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _name(call: object) -> str:
    return str(getattr(call, "__name__", type(call).__name__)).lower()
