"""Szegedy et al. 2014, "Going deeper with convolutions", section 4, and the lectures' example: 14x14x480 to 48 maps by
5x5 filters takes 112.9 million multiply-adds, and 5.3 million by way of 16 maps of 1x1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

INPUT, SIZE, BATCH = 480, 14, 16
DIRECT = "conv 48 5 same relu"
REDUCED = "conv 16 1 relu | conv 48 5 same relu"


def measure(trial: Trial) -> Outcome:
    """Seconds that a 5x5 convolution takes without and with a reduction by 1x1 before it."""
    import torch

    from convolve import models
    from convolve.experiments.timing import time_in_turn
    from convolve.summary import summarize

    images = torch.rand(BATCH, INPUT, SIZE, SIZE, generator=torch.Generator().manual_seed(trial.seed))
    works, macs = [], []
    for text in (DIRECT, REDUCED):
        network = models.create(f"{text} | gap | dense classes", 10, INPUT, (SIZE, SIZE), trial.seed).eval()
        works.append(lambda network=network: network(images))
        macs.append(summarize(network, (INPUT, SIZE, SIZE)).macs)
    with torch.inference_mode():
        direct, reduced = time_in_turn(*works)
    values = {
        "direct": 1000 * direct,
        "reduced": 1000 * reduced,
        "ratio of multiply-adds": macs[0] / macs[1],
        "ratio of times": direct / reduced,
    }
    return Outcome(direct / reduced, values)


CLAIM = Claim(
    number="20",
    name="reduction_time",
    words="차원을 줄여 망이 깊어졌을 때 연산량이 늘어나는 문제를 해결.",
    sentence="Reduction by 1x1 filters saves 21 times the operations, and so the time.",
    method=(
        "The slide's example: 480 maps of 14x14 to 48 by 5x5 filters, directly and by way of 16 maps of 1x1, on "
        "16 images, in turn. The claim is taken at its word where at least half of the saving, 10 times, is found "
        "in time."
    ),
    effect="time without reduction over time with it",
    unit="times",
    supported=10.0,
    refuted=10.0,
    measure=measure,
    value="milliseconds of one core, and ratios",
)
