"""Oquab, Bottou, Laptev, Sivic 2014, "Learning and transferring mid-level image representations using convolutional
neural networks".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name
from convolve.training.recipe import Splitting, Transfer

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | conv 64 3 same relu | gap | dense classes"
SOURCE_EPOCHS, EPOCHS, IMAGES = 6, 30, 100
LEARNING_RATE = 0.005


def measure(trial: Trial) -> Outcome:
    """Test errors on digits, of which 100 are learned: from random weights, and from those of garments."""
    source = trial.train("garments", trial.recipe(NETWORK, SOURCE_EPOCHS))
    few = replace(
        trial.recipe(NETWORK, EPOCHS, learning_rate=LEARNING_RATE), data="digits", splitting=Splitting(subset=IMAGES)
    )
    measured = {
        "from random weights": trial.train("from random weights", few),
        "from garments": trial.train("from garments", replace(few, transfer=Transfer(weights=str(source.weights)))),
    }
    errors = errors_by_name(measured)
    return Outcome(errors["from random weights"] - errors["from garments"], errors)


CLAIM = Claim(
    number="40",
    name="transfer",
    words="Transfer learning",
    sentence="What a network has learned on one task helps on another with few images.",
    method=(
        "A small network learns garments (Fashion-MNIST), then 100 handwritten digits; another one learns the 100 "
        "digits from random weights, for as long."
    ),
    effect="test error from random weights minus from learned ones",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
