"""What a network learns that tells the class of every pixel, and how it answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.metrics.segmentation import pixel_confusion, pixel_metrics
from convolve.models import Network
from convolve.values import IGNORE, Scored
from convolve.words import PixelLoss

FOCUS = 2.0
"""Gamma of the focal loss (Lin et al. 2017, section 3.2)."""
_SMOOTH = 1.0


@dataclass
class Segment:
    """The class of every pixel. Pixels whose truth is `IGNORE` are neither learned nor counted.

    ``kind`` is the loss: cross-entropy over softmax; its sum over the pixels of a step instead of the mean, for which
    the rate must be small (Shelhamer et al. 2016, section 4.2); dice, one less the mean over the classes of twice the
    overlap by the sum of both regions (Milletari et al. 2016, of which it takes the plain sums); or focal,
    cross-entropy times (1 - p)^2. ``class_weights`` (classes,) multiply each class's pixels.
    """

    network: Network
    classes: tuple[str, ...]
    kind: PixelLoss = "cross-entropy"
    class_weights: Tensor | None = None
    criterion: str = "mean_iou"

    def over(self, network: Network) -> Segment:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """(N, C, H, W) and (N, H, W) class numbers to `loss`, a mean or sum over the counted pixels, and `accuracy`."""
        del random
        targets = targets.long()
        scores = self.network(images).float()
        counted = targets != IGNORE
        hits = (scores.detach().argmax(1) == targets) & counted
        accuracy = hits.sum() / counted.sum().clamp(min=1)
        return {"loss": self._loss(scores, targets, counted), "accuracy": accuracy}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, H, W) uint8, the likeliest class of every pixel."""
        found: Tensor = self.network(images).argmax(1).to(torch.uint8)
        return found

    def shares(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes, H, W) probabilities; those of a pixel sum to 1."""
        scores: Tensor = self.network(images).float()
        return scores.softmax(1)

    def figures(self, parts: Iterable[Scored]) -> dict[str, float]:
        """Pixel accuracy, mean accuracy, mean IoU and frequency-weighted IoU of all pixels together."""
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        for part in parts:
            matrix += pixel_confusion(part.targets.astype(np.uint8), part.scores, len(self.classes))
        found = pixel_metrics(matrix)
        return {
            "mean_iou": found.mean_iou,
            "pixel_accuracy": found.pixel_accuracy,
            "mean_accuracy": found.mean_accuracy,
            "weighted_iou": found.weighted_iou,
        }

    def _loss(self, scores: Tensor, targets: Tensor, counted: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(scores.device)
        if self.kind == "dice":
            return _dice(scores, targets, counted, weights)
        if self.kind != "focal":
            total = F.cross_entropy(scores, targets, weights, ignore_index=IGNORE, reduction="sum")
            return total if self.kind == "cross-entropy-sum" else total / _mass(targets, counted, weights)
        entropy = F.cross_entropy(scores, targets, ignore_index=IGNORE, reduction="none")
        focused = (1 - (-entropy).exp()) ** FOCUS * entropy
        every = 1.0 if weights is None else weights[targets.where(counted, 0)]
        return (focused * every * counted).sum() / _mass(targets, counted, weights)


def _dice(scores: Tensor, targets: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    shares = scores.softmax(1) * counted[:, None]
    truth = F.one_hot(targets.where(counted, 0), scores.shape[1]).movedim(3, 1) * counted[:, None]
    overlap, regions = (shares * truth).sum((0, 2, 3)), (shares + truth).sum((0, 2, 3))
    classes = 1 - (2 * overlap + _SMOOTH) / (regions + _SMOOTH)
    return classes.mean() if weights is None else (classes * weights).sum() / weights.sum()


def _mass(targets: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """What the pixels weigh together; at least a little, where a batch has none that counts."""
    mass = counted.sum() if weights is None else (weights[targets.where(counted, 0)] * counted).sum()
    return mass.clamp(min=1e-6)
