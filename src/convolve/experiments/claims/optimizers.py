"""The lectures' eight optimizers, each at its best learning rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.training.recipe import Optimization

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial
    from convolve.training.recipe import OptimizerName

NETWORK = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
EPOCHS, IMAGES = 3, 3_000
RATES: dict[OptimizerName, tuple[float, ...]] = {
    "gradient-descent": (0.1, 0.5),
    "sgd": (0.03, 0.1, 0.3),
    "momentum": (0.01, 0.03, 0.1),
    "nesterov": (0.01, 0.03, 0.1),
    "adagrad": (0.003, 0.01, 0.03),
    "rmsprop": (0.0003, 0.001, 0.003),
    "adadelta": (0.3, 1.0, 3.0),
    "adam": (0.001, 0.003, 0.01),
}


def measure(trial: Trial) -> Outcome:
    """Test errors after three epochs with each optimizer at the learning rate of the lowest validation error."""
    errors: dict[str, float] = {}
    for optimizer, rates in RATES.items():
        plain = Optimization(optimizer=optimizer, weight_decay=0.0, schedule="constant", warmup=0.0)
        recipe = replace(trial.recipe(NETWORK, EPOCHS, images=IMAGES), optimization=plain)
        _, measured = trial.train_best(optimizer, recipe, rates)
        errors[optimizer] = measured.test_error
    return Outcome(errors["sgd"] - errors["adam"], errors)


CLAIM = Claim(
    number="27",
    name="optimizers",
    words="8. Adam",
    sentence="The optimizers after SGD, up to Adam, learn faster.",
    method=(
        "Each of the eight optimizers trains a small network on 3,000 images for three epochs at two or three constant"
        " learning rates; the one with the lowest validation error counts."
    ),
    effect="test error with SGD minus with Adam",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
