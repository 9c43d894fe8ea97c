"""The lectures on dense layers: images become vectors, and spatial information is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

CNN = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
MLP = "flatten | dense 128 relu | dense 128 relu | dense classes"
EPOCHS = 8


def measure(trial: Trial) -> Outcome:
    """By how much a fixed permutation of the pixels raises the errors of convolutions and of dense layers."""
    measured = {}
    for name, network in {"CNN": CNN, "MLP": MLP}.items():
        recipe = trial.recipe(network, EPOCHS)
        measured[name] = trial.train(name, recipe)
        measured[f"{name}, permuted"] = trial.train(
            f"{name}, permuted", replace(recipe, task_options={"permute": True})
        )
    errors = errors_by_name(measured)
    rises = {name: errors[f"{name}, permuted"] - errors[name] for name in ("CNN", "MLP")}
    return Outcome(rises["CNN"] - rises["MLP"], errors)


CLAIM = Claim(
    number="31",
    name="permuted_pixels",
    words="Lose spatial information!",
    sentence="Dense layers make no use of where pixels are; convolutions do.",
    method=(
        "A convolutional network and one of dense layers learn images as they are, and with all pixels in another "
        "order, the same for every image."
    ),
    effect="rise of the test error by the permutation, of convolutions minus of dense layers",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
