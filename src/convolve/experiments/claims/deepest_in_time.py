"""The lectures on ResNet: the deepest network, and the best. Here with equal time for all depths."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

MINUTES = 0.5


def measure(trial: Trial) -> Outcome:
    """Test errors of residual networks of 20 and 56 layers after half a minute of training each."""
    measured = {}
    for network in ("resnet20_cifar", "resnet56_cifar"):
        recipe = replace(trial.recipe(network, 1, size=16), epochs=None)
        measured[network] = trial.train(network, recipe, minutes=MINUTES)
    errors = errors_by_name(measured)
    return Outcome(errors["resnet20_cifar"] - errors["resnet56_cifar"], errors)


CLAIM = Claim(
    number="13",
    name="deepest_in_time",
    words="가장 깊고 성능이 좋은 네트워크",
    sentence="The deepest network is the best, given equal time.",
    method=(
        "Residual networks of 20 and 56 layers, at 16x16 pixels, half a minute each for everything, as many "
        "epochs as fit."
    ),
    effect="test error of 20 layers minus that of 56",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
