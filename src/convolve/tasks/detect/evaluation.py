"""How good a detector is on a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from torch import Tensor

from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.targets import BoxTargets
from convolve.values import Batch

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.tasks.detect.task import Detect
    from convolve.tasks.task import EvaluationData


@final
class BoxEvaluator:
    """Gathers detections and objects in pixels of the input."""

    def __init__(self, classes: int) -> None:
        self._classes, self._images = classes, 0
        self._found: list[Detections] = []
        self._objects: list[ObjectBoxes] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, K, 6) detections of a batch."""
        targets: BoxTargets = batch.targets  # type: ignore[assignment]  # of this task they are boxes
        self._found.append(as_detections(predictions, self._images))
        self._objects.append(
            ObjectBoxes.of(
                targets.boxes.astype(np.float64),
                targets.classes,
                targets.image + self._images,
                crowd=targets.ignored,
            )
        )
        self._images += len(targets)


def as_detections(found: Tensor, first: int = 0) -> Detections:
    """(N, K, 6) detections of images ``first``, ``first + 1`` … as arrays, in order."""
    values = found.double().cpu().numpy()
    images, _ = positions = np.nonzero(values[..., 4] > 0)
    rows = values[positions]
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), images.astype(np.int64) + first)
