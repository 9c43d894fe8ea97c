"""Simonyan, Zisserman 2014, section 2.3: the ReLU between two small filters makes the decision function more
discriminative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = (
    "conv 16 3 same{0} | conv 16 3 same relu | pool 2 | conv 32 3 same{0} | conv 32 3 same relu | pool 2 | flatten"
    " | dense classes"
)
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors of pairs of 3x3 convolutions without and with a ReLU inside each pair."""
    return compare_errors(
        trial,
        ("without", trial.recipe(NETWORK.format(""), EPOCHS)),
        ("with ReLU inside", trial.recipe(NETWORK.format(" relu"), EPOCHS)),
    )


CLAIM = Claim(
    number="19",
    name="extra_relu",
    words="층이 깊어지기에 ReLU와 같은 비선형성 추가로 표현력이 개선.",
    sentence="The ReLU between two small filters is a gain of its own.",
    method="Two pairs of 3x3 convolutions, without and with a ReLU inside each pair; all else is the same.",
    effect="test error without the inner ReLUs minus with them",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
