"""Ioffe, Szegedy 2015, "Batch normalization", section 3.3: back-propagation is unaffected by the weights' scale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial
    from convolve.layers.design import InitializerName

NETWORK = (
    "conv 16 3 same{0} relu | conv 16 3 same{0} relu | pool 2 | conv 32 3 same{0} relu | conv 32 3 same{0} relu"
    " | pool 2 | flatten | dense classes"
)
EPOCHS = 3
INITIALIZERS: tuple[InitializerName, ...] = ("he", "lecun", "normal")


def measure(trial: Trial) -> Outcome:
    """How far apart the test errors of three initializations are, without and with batch normalization."""
    errors = {}
    for kind, norm in {"without": "", "with": " | norm batch |"}.items():
        for initializer in INITIALIZERS:
            recipe = trial.recipe(NETWORK.format(norm), EPOCHS)
            name = f"{kind}, {initializer}"
            errors[name] = trial.train(name, replace(recipe, design=Design(initializer=initializer))).test_error
    spread = {
        kind: max(found) - min(found)
        for kind in ("without", "with")
        for found in [[error for name, error in errors.items() if name.startswith(f"{kind},")]]
    }
    return Outcome(spread["without"] - spread["with"], errors)


CLAIM = Claim(
    number="14b",
    name="batch_norm_initialization",
    words="학습의 수렴속도를 높이고 가중치 초기화에 대해 강건해진다.",
    sentence="Batch normalization makes a network robust to the initialization of its weights.",
    method=(
        "Four convolutions without and with batch normalization, from weights by He's rule, by LeCun's, and "
        "normal ones of deviation 0.01, after three epochs: how far apart are the three errors?"
    ),
    effect="range of the test errors without batch normalization minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
