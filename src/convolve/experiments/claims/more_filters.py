"""The lectures on hyperparameters: the more filters, the more kinds of features are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv {0} 3 same relu | pool 2 | conv {1} 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
EPOCHS = 6
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Test errors with 4, 8, 16 and 32 filters in the first convolution, and twice as many in the second."""
    measured = {}
    for count in (4, 8, 16, 32):
        name = f"{count} and {2 * count} filters"
        measured[name] = trial.train(
            name, trial.recipe(NETWORK.format(count, 2 * count), EPOCHS, learning_rate=LEARNING_RATE)
        )
    errors = errors_by_name(measured)
    few, *_, many = errors.values()
    return Outcome(few - many, errors)


CLAIM = Claim(
    number="34",
    name="more_filters",
    words="이 수가 많을 수록 동일 영역에서 다양한 형태의 특질을 추출할 수 있음",
    sentence="More filters find more kinds of features.",
    method="Two convolutions with 4, 8, 16 or 32 filters, and twice as many in the second.",
    effect="test error with the fewest filters minus with the most",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
