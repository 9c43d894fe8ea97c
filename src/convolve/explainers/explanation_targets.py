"""What of a task's predictions for some images is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from convolve.explainers.score_targets import ScoreTarget
from convolve.values import Color, Flags, Floats, Indices


@dataclass(frozen=True)
class ExplanationTargets:
    """What a network predicts for N images, and the K things of each that are explained.

    ``predictions`` are words, after the words in ``relation`` (`mostly` where a prediction is but the largest of
    several). ``names`` (N x K) say what is explained: classes, or `red` for an output without a class. Its ``scores``
    (N, K), and the ``confidences`` (N,) of the predictions, are probabilities; where the task has none, there are no
    confidences, and scores are the outputs themselves. Each of the K ``targets`` covers the N images. ``regions``
    (N, K, H, W) are the pixels of the network's input whose score is explained; None for images as a whole. ``colors``
    are those in which to draw regions, by name.
    """

    predictions: tuple[str, ...]
    confidences: Floats | None
    names: tuple[tuple[str, ...], ...]
    scores: Floats
    targets: tuple[ScoreTarget, ...]
    regions: Flags | None = None
    relation: str = ""
    colors: Mapping[str, Color] = field(default_factory=dict)

    @property
    def present(self) -> Flags:
        """(N, K) whether there is anything to explain: a region without pixels has no score."""
        if self.regions is None:
            return np.ones(self.scores.shape, dtype=bool)
        return np.asarray(self.regions.any((2, 3)))

    def take(self, indices: Indices) -> ExplanationTargets:
        """Those of some of the images."""
        chosen = indices.tolist()
        return replace(
            self,
            predictions=tuple(self.predictions[index] for index in chosen),
            confidences=None if self.confidences is None else self.confidences[indices],
            names=tuple(self.names[index] for index in chosen),
            scores=self.scores[indices],
            targets=tuple(target.take(torch.from_numpy(indices)) for target in self.targets),
            regions=None if self.regions is None else self.regions[indices],
        )
