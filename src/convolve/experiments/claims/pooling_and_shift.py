"""The lectures on pooling: it is hardly affected by changes of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

POOLED = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
STRIDED = "conv 16 3 stride 2 same relu | conv 32 3 stride 2 same relu | flatten | dense 64 relu | dense classes"
EPOCHS = 8


def measure(trial: Trial) -> Outcome:
    """By how much a shift of one pixel raises the errors with pooling, and with strides in its place."""
    from convolve.experiments.inspection import shifted_error

    errors: dict[str, float] = {}
    for name, network in {"pooling": POOLED, "strides": STRIDED}.items():
        trained = trial.train(name, trial.recipe(network, EPOCHS)).trained
        errors |= {f"{name}, in place": shifted_error(trained, 0), f"{name}, shifted": shifted_error(trained, 1)}
    rises = {name: errors[f"{name}, shifted"] - errors[f"{name}, in place"] for name in ("pooling", "strides")}
    return Outcome(rises["strides"] - rises["pooling"], errors)


CLAIM = Claim(
    number="32",
    name="pooling_and_shift",
    words="입력의 변화에 영향을 적게 받음 (강건하다)",
    sentence="Pooling makes a network robust to small shifts.",
    method=(
        "Two convolutions with poolings, or with strides of 2 in their place; test images are then shifted by one "
        "pixel."
    ),
    effect="rise of the error by the shift, with strides minus with pooling",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="error in %",
)
