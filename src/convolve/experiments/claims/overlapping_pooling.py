"""Krizhevsky, Sutskever, Hinton 2012, section 3.4: windows of 3 with stride 2 lower the top-1 error by 0.4 %."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 5 same relu | pool {0} | conv 48 3 same relu | pool {0} | flatten | dense 64 relu | dense classes"
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors with windows of 2 and 3, both with stride 2."""
    windows = {"window 2": "2 stride 2", "window 3, overlapping": "3 stride 2 pad 1"}
    without, with_it = ((name, trial.recipe(NETWORK.format(text), EPOCHS)) for name, text in windows.items())
    return compare_errors(trial, without, with_it)


CLAIM = Claim(
    number="4",
    name="overlapping_pooling",
    words="정확도는 약 0.4%가 향상되나, Overlapping의 사용은 연산량을 증가시킴.",
    sentence="Overlapping pooling gains about 0.4 % of accuracy.",
    method="A small network with max pooling of stride 2 and windows of 2, or of 3, so that they overlap.",
    effect="test error without overlap minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
