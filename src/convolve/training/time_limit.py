"""How long a training may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

_TOLERANCE = 0.1
"""A training that is slower than planned may still take this fraction of the time more, so that it can end by plan."""


@final
@dataclass(frozen=True)
class TimeLimit:
    """So many ``seconds`` since ``started``, both by the ``clock``; the ``reserve`` is needed after the training."""

    seconds: float
    started: float
    reserve: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """The seconds until the time is over."""
        return self.started + self.seconds - self.reserve - self.clock()

    def is_over(self) -> bool:
        """Whether even the tolerance is used up, so that no epoch may begin."""
        return self.left() < -_TOLERANCE * self.seconds

    def part(self, fraction: float) -> TimeLimit:
        """The limit for the first part of the work, which may take this fraction of the time."""
        return replace(self, seconds=self.seconds * fraction)
