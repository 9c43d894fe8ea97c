"""What a classifier learns and how it answers: one class per image, or several labels, each present or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.metrics.confusion import class_metrics, confusion_matrix, macro_average
from convolve.metrics.ranking import average_precision, nanmean, one_vs_rest, roc_auc, top_k_accuracy
from convolve.models import Network
from convolve.training.scoring import joined
from convolve.values import Floats, Scored, TargetArray

AUXILIARY_WEIGHT = 0.3
"""What an auxiliary head's loss counts beside the head's own (Szegedy et al. 2014, section 5)."""
_SMALLEST = 1e-7


@dataclass
class Classify:
    """Cross-entropy over softmax for one class per image, over sigmoids for several labels.

    ``class_weights`` (classes,) multiply each class's loss (or, with several labels, that of the label's presence);
    ``temperature`` divides the scores before they become probabilities (Guo et al. 2017, section 4.2).
    """

    network: Network
    classes: tuple[str, ...]
    multiple: bool = False
    label_smoothing: float = 0.0
    mixup: float = 0.0
    class_weights: Tensor | None = None
    temperature: float = 1.0
    criterion: str = field(init=False)

    def __post_init__(self) -> None:
        self.criterion = "average_precision" if self.multiple else "accuracy"

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """(N, C, H, W) and (N,) int64 or (N, classes) uint8 to `loss` and, for one class per image, `accuracy`."""
        share, order = _blend(len(images), self.mixup, random) if self.mixup > 0 else (None, None)
        if share is not None:
            images = torch.lerp(images[order], images, share.to(images))
        heads = [scores.float() for scores in self.network.scores_of_all_heads(images)]
        losses = [self._entropy(scores, targets) for scores in heads]
        if share is not None:
            others = [self._entropy(scores, targets[order]) for scores in heads]
            losses = [torch.lerp(other, own, share) for own, other in zip(losses, others, strict=True)]
        loss = losses[0] + AUXILIARY_WEIGHT * torch.stack(losses[1:]).sum() if losses[1:] else losses[0]
        if self.multiple:
            return {"loss": loss}
        return {"loss": loss, "accuracy": (heads[0].detach().argmax(1) == targets).float().mean()}

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes) probabilities: rows sum to 1, or each label stands for itself."""
        scores: Tensor = self.network(images).float() / self.temperature
        return scores.sigmoid() if self.multiple else scores.softmax(1)

    def over(self, network: Network) -> Classify:
        """The same task with another network."""
        return replace(self, network=network)

    def figures(self, parts: Iterable[Scored]) -> dict[str, float]:
        """As `measure`, of a split's batches."""
        whole = joined(parts)
        return self.measure(whole.scores, whole.targets)

    def measure(self, scores: Floats, targets: TargetArray) -> dict[str, float]:
        """`loss` (nats), then accuracy, top-5 and macro F1; or, with several labels, mean AP and ROC-AUC."""
        if self.multiple:
            present = targets.astype(bool)
            entropy = -np.log(np.where(present, scores, 1 - scores).clip(_SMALLEST)).mean()
            return {
                "loss": float(entropy),
                "average_precision": nanmean(one_vs_rest(average_precision, scores, present)),
                "roc_auc": nanmean(one_vs_rest(roc_auc, scores, present)),
                "exact_match": float(((scores >= 0.5) == present).all(1).mean()),
            }
        truth = targets.astype(np.int64)
        chosen = np.take_along_axis(scores, truth[:, None], 1)
        found = {"loss": float(-np.log(chosen.clip(_SMALLEST)).mean()), "accuracy": top_k_accuracy(scores, truth, 1)}
        if len(self.classes) > 5:
            found["top5_accuracy"] = top_k_accuracy(scores, truth, 5)
        figures = class_metrics(confusion_matrix(truth, scores.argmax(1), len(self.classes)))
        return found | {"macro_f1": macro_average(figures).f1}

    def _entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(scores.device)
        if not self.multiple:
            return F.cross_entropy(scores, targets, weights, label_smoothing=self.label_smoothing)
        wanted = targets.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(scores, wanted, pos_weight=weights)


def _blend(count: int, concentration: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The share of the first image, drawn from Beta(a, a), and the order of the second ones (Zhang et al. 2018)."""
    seed = int(torch.randint(2**62, (1,), generator=random, device=random.device))
    share = np.random.default_rng(seed).beta(concentration, concentration)
    return torch.tensor(share, dtype=torch.float32), torch.randperm(count, generator=random, device=random.device)
