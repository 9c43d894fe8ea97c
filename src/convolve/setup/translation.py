"""How well a network recognizes images that are shifted."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convolve.errors import OptionError
from convolve.progress import Listener, Progress
from convolve.tasks.info import finite_or_none
from convolve.tasks.task import EvaluationData, Task
from convolve.training.evaluation import evaluate_batches

if TYPE_CHECKING:
    from rich.console import RenderableType

_DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Shift:
    """The metric's ``value`` on images that are shifted by ``x`` pixels to the right and ``y`` down."""

    x: int
    y: int
    value: float


@dataclass(frozen=True)
class Translation:
    """A ``metric`` on images as they are, ``unshifted``, and shifted by 1 to ``pixels`` pixels of the network's input
    in each of four directions.
    """

    metric: str
    pixels: int
    unshifted: float
    shifts: tuple[Shift, ...]

    @property
    def mean(self) -> float:
        """Of all shifts."""
        return statistics.mean(shift.value for shift in self.shifts)

    def row(self, pixels: int) -> dict[str, float]:
        """Of one distance, the value in each direction and their mean."""
        values = {(shift.x, shift.y): shift.value for shift in self.shifts}
        own = {name: values[x * pixels, y * pixels] for name, (x, y) in _DIRECTIONS.items()}
        return {**own, "mean": statistics.mean(own.values())}

    def as_json(self) -> dict[str, Any]:
        """`metric`, `pixels`, `unshifted`, `mean`, and `shifts`: `x`, `y` and `value` of each."""
        shifts = [{"x": shift.x, "y": shift.y, "value": finite_or_none(shift.value)} for shift in self.shifts]
        values = {"unshifted": finite_or_none(self.unshifted), "mean": finite_or_none(self.mean)}
        return {"metric": self.metric, "pixels": self.pixels, **values, "shifts": shifts}

    def facts(self) -> dict[str, object]:
        """What a report says: a list of facts for each distance."""
        rows = {f"{pixels} pixels": self.row(pixels) for pixels in range(1, self.pixels + 1)}
        plain = {
            name: {key if key == "mean" else f"moved {key}": f"{value:.1%}" for key, value in row.items()}
            for name, row in rows.items()
        }
        return {"metric": self.metric, "unshifted": f"{self.unshifted:.1%}", "mean": f"{self.mean:.1%}", **plain}

    def to_console(self) -> Iterator[RenderableType]:
        """A table with a row for each distance."""
        from rich.table import Table

        table = Table("shifted by", box=None, header_style="bold")
        for name in (*_DIRECTIONS, "mean"):
            table.add_column(name, justify="right")
        table.add_row("0 pixels", *[""] * len(_DIRECTIONS), f"{self.unshifted:.1%}")
        for pixels in range(1, self.pixels + 1):
            table.add_row(f"{pixels} pixels", *(f"{value:.1%}" for value in self.row(pixels).values()))
        yield table
        yield f"mean {self.metric} of the shifted images  {self.mean:.1%}"


def measure_translation(task: Task, data: EvaluationData, pixels: int, listener: Listener) -> Translation:
    """A classifier's monitored metric on the shifted images of a split. Raises `OptionError` for another task, and
    where the shift leaves less than half of an image to see.
    """
    if task.info.ground_truth != "labels":
        raise OptionError(f"--translate measures what classifies whole images, not the task {task.info.name}; omit it.")
    most = min(data.preprocessing.height, data.preprocessing.width) // 2
    if not 1 <= pixels <= most:
        raise OptionError(
            f"translate cannot be {pixels}; it must be a whole number from 1 to {most}, half the network's input."
        )
    offsets = [(x * by, y * by) for by in range(1, pixels + 1) for x, y in _DIRECTIONS.values()]
    values = []
    for done, (x, y) in enumerate([(0, 0), *offsets]):
        listener(Progress("translate", done, 1 + len(offsets)))
        metrics = evaluate_batches(task, data.batches.shifted(x, y).epoch(0), data.runtime)
        values.append(metrics[task.monitored])
    listener(Progress("translate", 1 + len(offsets), 1 + len(offsets)))
    shifts = tuple(Shift(x, y, value) for (x, y), value in zip(offsets, values[1:], strict=True))
    metric = task.info.metric_titles.get(task.monitored, task.monitored)
    return Translation(metric, pixels, values[0], shifts)
