"""The lectures on ResNet: it does without large dense layers, and so with fewer parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

WITH, WITHOUT = ("alexnet", "zfnet", "vgg16"), ("googlenet", "resnet50", "densenet121")


def measure(trial: Trial) -> Outcome:
    """The fraction of the parameters that is in dense layers, in networks with and without hidden dense layers."""
    del trial
    import torch
    from torch import nn

    from convolve import models

    fractions = {}
    for name in (*WITH, *WITHOUT):
        with torch.device("meta"):
            network = models.create(name)
        dense = [
            layer for part in (network.stages, network.head) for layer in part.modules() if isinstance(layer, nn.Linear)
        ]
        in_dense = sum(weights.numel() for layer in dense for weights in layer.parameters())
        fractions[name] = 100 * in_dense / (models.card(name).parameters or 1)
    return Outcome(min(fractions[name] for name in WITH) - max(fractions[name] for name in WITHOUT), fractions)


CLAIM = Claim(
    number="52",
    name="dense_parameters",
    words="Fully connected layer 제거 (모델의 파라미터 수를 줄임)",
    sentence="Most parameters of the networks before GoogLeNet are in dense layers; the later ones do without.",
    method=(
        "The fraction of the parameters in dense layers, of AlexNet, ZFNet, VGG-16, and of GoogLeNet, ResNet-50, "
        "DenseNet-121."
    ),
    effect="least fraction of the earlier three minus the largest of the later three",
    unit="percentage points",
    supported=50.0,
    refuted=20.0,
    measure=measure,
    value="% of the parameters in dense layers",
    exact=True,
)
