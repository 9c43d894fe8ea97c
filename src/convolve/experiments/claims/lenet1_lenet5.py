"""The lectures on LeNet: LeNet-5 was made larger to do better; LeCun, Bottou, Bengio, Haffner 1998, figure 9: 1.7 and
0.95 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS = 8


def measure(trial: Trial) -> Outcome:
    """Test errors of LeNet-1 and LeNet-5."""
    return compare_errors(
        trial,
        ("LeNet-1", trial.recipe("lenet1", EPOCHS)),
        ("LeNet-5", trial.recipe("lenet5", EPOCHS, size=32)),
    )


CLAIM = Claim(
    number="49",
    name="lenet1_lenet5",
    words="LeNet5에서는 성능 향상을 위 해 더 큰 구조로 설계.",
    sentence="LeNet-5, which is larger, is better than LeNet-1.",
    method="LeNet-1 (2,578 parameters) and LeNet-5 (60,000) as published, on 28x28 and 32x32 pixels.",
    effect="test error of LeNet-1 minus that of LeNet-5",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
