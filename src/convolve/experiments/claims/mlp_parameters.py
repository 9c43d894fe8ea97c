"""The lectures' first reason for convolution: a network of dense layers needs many parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

CNN = "conv 8 3 same relu | pool 2 | conv 16 3 relu | pool 2 | flatten | dense 22 relu | dense classes"
EPOCHS = 8
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Test errors of a convolutional network of 14 thousand parameters, and of dense ones with as many and more."""
    networks = {
        "CNN, 14 thousand": CNN,
        "MLP, 14 thousand": "flatten | dense 18 relu | dense classes",
        "MLP, 102 thousand": "flatten | dense 128 relu | dense classes",
        "MLP, 669 thousand": "flatten | dense 512 relu | dense 512 relu | dense classes",
    }
    recipes = {name: trial.recipe(text, EPOCHS, learning_rate=LEARNING_RATE) for name, text in networks.items()}
    errors = errors_by_name(trial.train_all(recipes))
    return Outcome(errors["MLP, 14 thousand"] - errors["CNN, 14 thousand"], errors)


CLAIM = Claim(
    number="33",
    name="mlp_parameters",
    words="REQUIRES MANY PARAMETERS",
    sentence="Dense layers need more parameters than convolutions for the same error.",
    method=(
        "Two convolutions and two dense layers with 14 thousand parameters, and networks of dense layers with as "
        "many, 102 and 669 thousand. Three convolutions with global average pooling were tried first: after as "
        "many epochs their error was still 23.6 %, that of dense layers with as many parameters 16.9 %."
    ),
    effect="test error of dense layers minus that of convolutions, with equal parameters",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
