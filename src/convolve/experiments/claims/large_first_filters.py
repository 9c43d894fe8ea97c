"""The lectures on AlexNet: large filters and strides in the first layers; Zeiler, Fergus 2013, "Visualizing and
understanding convolutional networks", section 4.1, made them smaller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = (
    "conv 24 {0} relu | conv 48 3 same relu | pool 2 | conv 48 3 same relu | flatten | dense 64 relu | dense classes"
)
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors with first filters of 3x3 and of 7x7, both with stride 2."""
    return compare_errors(
        trial,
        ("3x3, stride 2", trial.recipe(NETWORK.format("3 stride 2 pad 1"), EPOCHS)),
        ("7x7, stride 2", trial.recipe(NETWORK.format("7 stride 2 pad 3"), EPOCHS)),
    )


CLAIM = Claim(
    number="39",
    name="large_first_filters",
    words="초기 단계에서는 큰 필터 사이즈와 Stride를 사용",
    sentence="Large first filters are better than small ones.",
    method="A small network with first filters of 3x3 or 7x7, both with stride 2.",
    effect="test error with small first filters minus with large ones",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
