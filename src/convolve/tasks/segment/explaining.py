"""What `Kind` needs of `explanation`, until a task is one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import Tensor

from convolve.tasks.segment.learning import Segment
from convolve.values import Dataset, Indices, Preprocessing

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets


@final
@dataclass(frozen=True)
class Explaining:
    """The functions of `explanation` for one task."""

    task: Segment

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """What of the predictions for some images is explained."""
        from convolve.tasks.segment import explanation

        return explanation.explanation_targets(self.task, inputs, sizes, classes, preprocessing)

    def probabilities(self, images: Tensor) -> Tensor:
        """Those of each class."""
        from convolve.tasks.segment import explanation

        return explanation.probabilities(self.task, images)

    def ground_truth_labels(self, dataset: Dataset, indices: Indices) -> tuple[str, ...]:
        """What should be predicted for each image; empty where that is no such word."""
        from convolve.tasks.segment import explanation

        return explanation.ground_truth_labels(dataset, indices)


def explaining(task: Segment, preprocessing: Preprocessing) -> Explaining:
    """What of a run's predictions is explained."""
    del preprocessing
    return Explaining(task)
