"""How far a training is, apart from its tensors."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import final

from convolve.errors import RunError


@final
@dataclass
class State:
    """Everything that decides how a training goes on, besides weights, their average and the optimizer's tensors.

    ``epoch`` (from 0) is running and has made ``step`` steps on ``images_done`` images, whose metrics, each times its
    images, add up to ``sums``. ``best`` is the best value of the monitored metric, reached in ``best_epoch``;
    ``waited`` epochs have passed since, ``stalled`` since then or since the plateau schedule last lowered the learning
    rate by ``factor``. ``history`` has one line of metrics per finished epoch. ``ended`` says why the training ended.
    """

    epoch: int = 0
    step: int = 0
    images_done: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_epoch: int | None = None
    waited: int = 0
    stalled: int = 0
    factor: float = 1.0
    learning_rate: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    ended: str = ""

    def add(self, metrics: dict[str, float], images: int) -> None:
        """Count one step's metrics, the means over its images."""
        self.images_done += images
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * images

    @property
    def metrics(self) -> dict[str, float]:
        """The running epoch's means so far."""
        return {name: value / self.images_done for name, value in self.sums.items()}

    def close_epoch(self, validation: dict[str, float], monitored: str) -> bool:
        """Write the epoch's line, start the next one; True when its monitored metric is the best so far.

        A metric that is not a number is never the best, except that the first epoch always is.
        """
        line = {f"train_{name}": value for name, value in self.metrics.items()}
        self.history.append({"epoch": self.epoch + 1, "learning_rate": self.learning_rate, **line, **validation})
        value = validation[monitored]
        better = self.best is None or value > self.best or self.best != self.best
        if better:
            self.best, self.best_epoch = value, self.epoch + 1
        self.waited = 0 if better else self.waited + 1
        self.stalled = 0 if better else self.stalled + 1
        self.epoch, self.step, self.images_done, self.sums = self.epoch + 1, 0, 0, {}
        return better


def to_json(state: State) -> str:
    """One line of JSON; Python writes floats so that they read back bit for bit."""
    return json.dumps(dataclasses.asdict(state))


def from_json(text: str) -> State:
    """Read what `to_json` wrote. Raises `RunError`."""
    try:
        return State(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise RunError(f"The checkpoint's state is damaged ({error}); train again.") from error
