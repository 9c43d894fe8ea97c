"""He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", figure 6: with shortcuts the deeper network
has the lower training error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.depth import compare_depths

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """By how much the training error of 56 residual layers is lower than that of 20."""
    curves, errors = compare_depths(trial, ("resnet20_cifar", "resnet56_cifar"))
    return Outcome(errors["resnet20_cifar, training"] - errors["resnet56_cifar, training"], errors, curves)


CLAIM = Claim(
    number="12",
    name="residual_depth",
    words="Gradient flow가 원활하게 이루어짐 (모델을 깊게 쌓는 것에 대한 부담이 줄어듦)",
    sentence="Residual networks do not get worse with depth.",
    method=(
        "The paper's residual networks of 20 and 56 layers, at 16x16 pixels: training errors after equal epochs. Half a"
        " percentage point counts as no worse."
    ),
    effect="training error of 20 layers minus that of 56",
    unit="percentage points",
    supported=-0.5,
    refuted=-0.5,
    measure=measure,
    value="error in %",
    axes=("epoch", "training error in %"),
)
