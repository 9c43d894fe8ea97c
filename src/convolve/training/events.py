"""What hangs on the training loop's two events, and what usually does: progress, times, TensorBoard."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from convolve.files import append_text
from convolve.progress import Listener, Message, Progress, format_duration
from convolve.training.run import inner_path
from convolve.training.step import State

_OFF = 1 / 3  # of an estimate
_MATTERS = 30.0  # seconds


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
class ProgressReporter:
    """Reports the progress in images to a listener, at most once in ``seconds``, and at the end.

    The time left follows from how long the last epoch's worth of images took, its validation included: so it corrects
    itself when the machine becomes faster or slower.
    """

    def __init__(self, listener: Listener, epochs: int, images: int, seconds: float = 0.1) -> None:
        self._listener = listener
        self._epochs, self._images, self._seconds = epochs, images, seconds
        self._reported = time.monotonic()
        self._recent: deque[tuple[int, float]] = deque()  # images done, and when

    def __call__(self, state: State) -> None:
        """Report, if it is time."""
        done, now = state.epoch * self._images + state.images_done, time.monotonic()
        self._recent.append((done, now))
        while len(self._recent) > 2 and self._recent[1][0] <= done - self._images:
            self._recent.popleft()
        first, since = self._recent[0]
        total = self._epochs * self._images
        if now - self._reported < self._seconds and done < total:
            return
        self._reported = now
        speed = (done - first) / (now - since) if now > since else 0.0
        words = [f"epoch {min(state.epoch + 1, self._epochs)} of {self._epochs}"]
        words += [f"{name} {value:.3f}" for name, value in state.metrics.items()]
        if speed:
            words += [f"{speed:,.0f} images/s", f"{format_duration((total - done) / speed)} left"]
        self._listener(Progress("training", done, total, ", ".join(words)))


@final
@dataclass
class EstimateCorrection:
    """Says after an epoch what the training takes, where the median of the epochs so far, validation and checkpoints
    included, is further than a third from what was said last, and that makes half a minute or more.

    ``estimated`` are the seconds of an epoch as they were said; ``since`` is when the first one began, by the
    ``clock``, and is None where only a part of it is left.
    """

    listener: Listener
    epochs: int
    estimated: float
    since: float | None
    clock: Callable[[], float] = time.monotonic
    times: list[float] = field(default_factory=list)

    def __call__(self, state: State) -> None:
        """Say so, if it is so."""
        now = self.clock()
        if self.since is not None:
            self.times.append(now - self.since)
        self.since = now
        left = 0 if state.ended else self.epochs - state.epoch
        if not self.times:
            return
        found, said = statistics.median(self.times), self.estimated
        if abs(found - said) > _OFF * said and abs(found - said) * left >= _MATTERS:
            self.estimated = found
            total = format_duration(sum(self.times) + left * found)
            self.listener(
                Message(
                    f"An epoch takes about {format_duration(found)}, not {format_duration(said)}: "
                    f"{format_duration(left * found)} left of {total}."
                )
            )


@final
class EpochTimes:
    """Appends each epoch's seconds to a file of JSON lines, apart from the metrics, which repeat bit for bit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = time.monotonic()

    def __call__(self, state: State) -> None:
        """Write the epoch's line."""
        now = time.monotonic()
        line = {"epoch": state.epoch, "seconds": round(now - self._since, 3)}
        self._since = now
        append_text(self._path, json.dumps(line) + "\n")


@final
class DataWatch:
    """Tells a listener at an epoch's end of files of the data that have changed since the training began.

    ``changed`` lists them; it is asked for a hundredth of the time at most, and at the end.
    """

    def __init__(self, listener: Listener, changed: Callable[[], Sequence[str]]) -> None:
        self._listener, self._changed = listener, changed
        self._due = 0.0
        self._epoch = 0
        self._files: list[str] = []

    def __call__(self, state: State) -> None:
        """Look, if it is time."""
        started = time.monotonic()
        if started < self._due and not state.ended:
            return
        files = self._changed()
        ended = time.monotonic()
        self._due = ended + 99 * (ended - started)
        if set(files) - set(self._files):
            self._epoch, self._files = self._epoch or state.epoch, sorted({*files, *self._files})
            self._listener(Message(self.warning))

    @property
    def warning(self) -> str:
        """A sentence on all that has changed so far; nothing where nothing has."""
        if not self._files:
            return ""
        others = f" and {len(self._files) - 1:,} other files of the data" if len(self._files) > 1 else ""
        return (
            f"{self._files[0]}{others} changed while the network learned, as was noticed after epoch {self._epoch}: "
            "what it learned from may be a mixture of both; train again once the data stay as they are."
        )


@final
class TensorBoardWriter:
    """Writes each epoch's metrics as scalars into the folder `tensorboard` of a run. Raises `RunError` for a link."""

    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter  # an optional package

        self._writer = SummaryWriter(str(inner_path(run, "tensorboard")))

    def __call__(self, state: State) -> None:
        """Write the last epoch's line."""
        metrics = state.history[-1]
        for name, value in metrics.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(metrics["epoch"]))
        self._writer.flush()


def _name(call: object) -> str:
    """A function's name, or its class's in words."""
    name = getattr(call, "__name__", None) or re.sub("(?<=[a-z])(?=[A-Z])", " ", type(call).__name__).lower()
    return str(name)
