"""He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", figure 1: a plain network of 56 layers has
a higher training error than one of 20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.depth import compare_depths

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """By how much the training error of 56 plain layers is higher than that of 20."""
    curves, errors = compare_depths(trial, ("plain20_cifar", "plain56_cifar"))
    return Outcome(errors["plain56_cifar, training"] - errors["plain20_cifar, training"], errors, curves)


CLAIM = Claim(
    number="11",
    name="plain_degrades",
    words="모델을 깊게 쌓는 것에 대한 부담이 줄어듦",
    sentence="Plain networks get worse with depth, in training error too.",
    method="The paper's plain networks of 20 and 56 layers, at 16x16 pixels: training errors after equal epochs.",
    effect="training error of 56 layers minus that of 20",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="error in %",
    axes=("epoch", "training error in %"),
)
