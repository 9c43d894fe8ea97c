"""Long, Shelhamer, Darrell 2015, section 3.1: a network without dense layers takes images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

SIZES = ((64, 64), (64, 96), (97, 131), (128, 64), (200, 200))


def measure(trial: Trial) -> Outcome:
    """Of how many sizes of images a classifier with dense layers, and its fully convolutional form, give scores."""
    import torch

    from convolve import models

    taken = {}
    for name in ("alexnet", "fcn32s_alexnet"):
        with torch.device("meta"):
            network = models.create(name, 5, 3, (227, 227), trial.seed).eval()
        taken[name] = 0.0
        for height, width in SIZES:
            try:
                network(torch.empty(1, 3, height + 163, width + 163, device="meta"))
            except RuntimeError:
                continue
            taken[name] += 1
    return Outcome(taken["fcn32s_alexnet"] - taken["alexnet"], taken)


CLAIM = Claim(
    number="43",
    name="any_size",
    words="콘볼루션 과정의 입력은 사이즈 제약이 필요 없음.",
    sentence="A fully convolutional network takes images of any size; one with dense layers does not.",
    method="AlexNet, built for 227x227 pixels, and FCN-32s of AlexNet are given images of five sizes.",
    effect="sizes that the fully convolutional network takes minus those that the other takes",
    unit="of 5 sizes",
    supported=4.0,
    refuted=1.0,
    measure=measure,
    value="sizes taken, of 5",
    exact=True,
)
