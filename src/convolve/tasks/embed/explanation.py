"""What of an embedding is explained: how similar an image is to an identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.explanation_targets import ExplanationTargets

if TYPE_CHECKING:
    from convolve.tasks.embed.task import Embed


@dataclass(frozen=True, eq=False)
class Similarity:
    """The cosine of each image's embedding and its row of ``references`` (N, D), of length 1."""

    references: Tensor
    classes = None
    regions = None

    def __len__(self) -> int:
        return len(self.references)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, D) to (N,)."""
        return (outputs.float() * self.references.to(outputs.device)).sum(1)

    def take(self, indices: Tensor) -> Similarity:
        """The target of some of the images."""
        return Similarity(self.references[indices.to(self.references.device)])


def explanation_targets(task: Embed, inputs: Tensor, classes: Sequence[int]) -> ExplanationTargets:
    """The similarity to each of ``classes`` (indices of identities), or to the nearest known one, for network inputs
    (N, C, H, W). An identity is the mean embedding of its training images.
    """
    with torch.inference_mode():
        embeddings = task.predict(inputs)
        distances = task.distances(embeddings).cpu().numpy()
    best = np.asarray(distances.argmin(1), np.int64)
    explained = np.tile(np.array(classes, np.int64), (len(best), 1)) if classes else best[:, None]
    references = task.references.detach().clone()
    columns = [references[torch.from_numpy(column.copy()).to(references.device)] for column in explained.T]
    scores = np.stack([(embeddings.cpu().clone() * own.cpu()).sum(1).numpy() for own in columns], axis=1)
    return ExplanationTargets(
        predictions=tuple(task.classes[index] for index in best.tolist()),
        confidences=None,
        names=tuple(tuple(task.classes[index] for index in row) for row in explained.tolist()),
        scores=scores,
        targets=tuple(Similarity(own) for own in columns),
        relation="nearest",
    )
