"""Krizhevsky, Sutskever, Hinton 2012, section 5: momentum 0.9 and weight decay 0.0005; the decay reduces the training
error too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name, with_sgd

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
RATES = (0.01, 0.03, 0.1, 0.3)
EPOCHS, MOMENTUM, DECAY = 6, 0.9, 0.0005


def measure(trial: Trial) -> Outcome:
    """Test errors with momentum and decay, each alone, and neither, each at its best learning rate."""
    measured = {}
    for momentum, decay in ((0.0, 0.0), (MOMENTUM, 0.0), (0.0, DECAY), (MOMENTUM, DECAY)):
        recipe = with_sgd(trial.recipe(NETWORK, EPOCHS, images=3_000), momentum=momentum)
        recipe = replace(recipe, optimization=replace(recipe.optimization, weight_decay=decay))
        name = f"momentum {momentum:g}, decay {decay:g}"
        _, measured[name] = trial.train_best(name, recipe, RATES)
    errors = errors_by_name(measured)
    neither, *_, both = errors.values()
    return Outcome(neither - both, errors)


CLAIM = Claim(
    number="28",
    name="momentum_and_decay",
    words="SGD + Momentum (0.9)",
    sentence="SGD with momentum 0.9 and weight decay 0.0005 is better than SGD alone.",
    method=(
        "A small network learns 3,000 images for six epochs with both, with one of them, and with neither, each "
        "at the best of four learning rates by validation error."
    ),
    effect="test error of SGD alone minus with both",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
