"""Hu, Shen, Sun 2017, "Squeeze-and-excitation networks", table 4: on CIFAR-10 the error of ResNet-110 falls from 6.37
to 5.21 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, SIZE = 6, 16


def measure(trial: Trial) -> Outcome:
    """Test errors of ResNet-20 without and with squeeze-and-excitation."""
    return compare_errors(
        trial,
        ("resnet20_cifar", trial.recipe("resnet20_cifar", EPOCHS, size=SIZE)),
        ("se_resnet20_cifar", trial.recipe("se_resnet20_cifar", EPOCHS, size=SIZE)),
    )


CLAIM = Claim(
    number="25",
    name="squeeze_excitation",
    words="Channel Attention",
    sentence="Squeeze-and-excitation makes a residual network better.",
    method="ResNet-20 and SE-ResNet-20 at 16x16 pixels.",
    effect="test error without squeeze-and-excitation minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
