"""Faster R-CNN trained in four steps that alternate.

Ren, He, Girshick, Sun 2015, "Faster R-CNN: towards real-time object detection with region proposal networks", section
3.2, "4-Step Alternating Training":

1. The proposal network learns.
2. The detector learns of the regions that this network proposes, on stages of its own from the same initial weights.
3. New proposal layers learn on the detector's stages, which stay as they are from here on.
4. The layers of the detector alone learn, of the regions that these layers propose.

Of a pyramid the layers that make its maps are shared too, so that they count as stages. Each step has a quarter of the
epochs. The best epoch is one of the fourth step, before which the network is not complete: AP is not defined there.

Deviations: regions are proposed for the augmented images of each step of the training; the authors propose those of
steps 2 and 4 once. The moments of the optimizer go on from step to step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast, final

import torch
from torch import Tensor

from convolve.errors import TrainingError
from convolve.layers.box_head import Maps
from convolve.layers.faster_rcnn import SeparateProposals, TwoStageHead
from convolve.models import Network
from convolve.targets import BoxTensors
from convolve.tasks.detect.evaluation import BoxEvaluator
from convolve.tasks.detect.suppression import SuppressionRule, detect
from convolve.training.step import Evaluator
from convolve.values import Batch

STEPS = 4


@final
@dataclass(frozen=True)
class AlternatingTraining:
    """What learns in place of the task: the parts of a ``network`` that scores ``classes``, step after step."""

    network: Network
    rule: SuppressionRule
    classes: int
    monitored: str = "ap50"

    @classmethod
    def begin(cls, network: Network, rule: SuppressionRule, classes: int) -> AlternatingTraining:
        """For a network with the weights that the training starts from."""
        head = cast(TwoStageHead, network.head)
        head.separate = SeparateProposals(network.stages, network.head_inputs, head.pyramid, head.proposals)
        return cls(network, rule, classes)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Go on to the step of an ``epoch``, from 0: with the second one the trained proposal network becomes the
        separate one, and the network has its initial weights again; with the third one its stages are frozen.
        """
        head, separate = self._head, self._separate
        step = 1 + STEPS * epoch // epochs
        while int(separate.step) < step:
            separate.step += 1
            if separate.step == 2:
                separate.exchange(self.network.stages, head.pyramid, head.proposals)
        if step > 2:
            self.network.stages.requires_grad_(requires_grad=False)
            if head.pyramid:
                head.pyramid.requires_grad_(requires_grad=False)

    def finish(self) -> None:
        """The separate proposal network goes. Raises `TrainingError` where the training ended before the last step."""
        step = int(self._separate.step)
        if step < STEPS:
            raise TrainingError(
                f"The training ended in step {step} of the {STEPS} of alternating training, so that its network is not "
                "complete; give more --minutes, or leave out --alternating."
            )
        self._head.separate = None

    def with_network(self, network: Network) -> AlternatingTraining:
        """The same with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: BoxTensors, random: torch.Generator | None) -> dict[str, Tensor]:
        """`loss` and its parts: those of the proposals in steps 1 and 3, of the regions in steps 2 and 4."""
        return self._losses(self.network(images), images, targets, random)

    def loss_and_predictions(self, images: Tensor, targets: BoxTensors) -> tuple[dict[str, Tensor], Tensor | None]:
        """Both from one forward pass; in the last step alone there are predictions."""
        outputs: Maps = self.network(images)
        losses = self._losses(outputs, images, targets, None)
        if int(self._separate.step) < STEPS:
            return losses, None
        return losses, detect(self._head.decode(outputs, _size(images)), self.rule)

    def evaluator(self) -> Evaluator:
        """AP, which is not defined before the last step."""
        return BoxEvaluator(self.classes) if int(self._separate.step) == STEPS else _Undefined()

    @property
    def _head(self) -> TwoStageHead:
        return cast(TwoStageHead, self.network.head)

    @property
    def _separate(self) -> SeparateProposals:
        return cast(SeparateProposals, self._head.separate)

    def _losses(
        self, outputs: Maps, images: Tensor, targets: BoxTensors, random: torch.Generator | None
    ) -> dict[str, Tensor]:
        head, step, size = self._head, int(self._separate.step), _size(images)
        if step % 2:
            parts = head.proposal_losses(outputs, targets, size, random)
        else:
            proposed = self._separate(images) if step == 2 else outputs
            regions = head.propose(proposed, size, head.options.training)
            parts = head.region_losses(outputs, targets, regions, random)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


@final
class _Undefined:
    """Metrics of a network that is not complete."""

    def add(self, predictions: Any, batch: Batch) -> None:
        """Nothing."""
        del predictions, batch

    def metrics(self) -> dict[str, float]:
        """Those of a `BoxEvaluator`, not a number."""
        return {"ap50": math.nan, "ap": math.nan}


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
