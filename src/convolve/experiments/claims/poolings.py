"""The lectures' comparison of minimum, maximum and average pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = (
    "conv 16 3 same relu | pool 2 {0} | conv 32 3 same relu | pool 2 {0} | flatten | dense 64 relu | dense classes"
)
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors with maximum, average and minimum pooling: the effect is how much the maximum is ahead of the
    better of the others.
    """
    kinds = ("max", "average", "min")
    errors = errors_by_name({kind: trial.train(kind, trial.recipe(NETWORK.format(kind), EPOCHS)) for kind in kinds})
    return Outcome(min(errors["average"], errors["min"]) - errors["max"], errors)


CLAIM = Claim(
    number="50",
    name="poolings",
    words="Compare Pooling algorithm",
    sentence="Maximum pooling is better than average and minimum pooling.",
    method="Two convolutions with each of the three poolings after their ReLUs.",
    effect="test error of the better other pooling minus that of the maximum",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
