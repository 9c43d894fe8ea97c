"""What of a restoration is explained: the center of the restored image, and which pixels it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.explanation_targets import ExplanationTargets

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore

CENTER = 1 / 8
"""Of the sides of the restored image: how large its center is."""


@dataclass(frozen=True, eq=False)
class CenterScore:
    """The mean of all channels over the center of each of ``images`` outputs (N, C, H, W)."""

    images: int
    classes = None
    regions = None

    def __len__(self) -> int:
        return self.images

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N,)."""
        rows, columns = (
            slice(int(side * (1 - CENTER) / 2), int(side * (1 - CENTER) / 2) + max(1, int(side * CENTER)))
            for side in outputs.shape[2:]
        )
        return outputs[:, :, rows, columns].float().mean((1, 2, 3))

    def take(self, indices: Tensor) -> CenterScore:
        """The target of some of the images."""
        return CenterScore(len(indices))


def explanation_targets(task: Restore, inputs: Tensor) -> ExplanationTargets:
    """The center of each of the inputs (N, C, H, W)."""
    target = CenterScore(len(inputs))
    with torch.inference_mode():
        scores = target(task.probabilities(inputs)).cpu().numpy()
    return ExplanationTargets(
        predictions=("a restored image",) * len(inputs),
        confidences=None,
        names=(("center",),) * len(inputs),
        scores=np.asarray(scores[:, None], np.float32),
        targets=(target,),
    )
