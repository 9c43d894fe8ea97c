"""The lectures on shared weights: the same filter at every position finds a feature wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

CNN = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | conv 64 3 same relu | gap | dense classes"
MLP = "flatten | dense 128 relu | dense 128 relu | dense classes"
EPOCHS, PIXELS = 8, 3


def measure(trial: Trial) -> Outcome:
    """By how much a shift of three pixels raises the errors of a network with and without shared weights."""
    from convolve.experiments.inspection import shifted_error

    errors: dict[str, float] = {}
    for name, network in {"CNN": CNN, "MLP": MLP}.items():
        trained = trial.train(name, trial.recipe(network, EPOCHS)).trained
        errors |= {f"{name}, in place": shifted_error(trained, 0), f"{name}, shifted": shifted_error(trained, PIXELS)}
    rises = {name: errors[f"{name}, shifted"] - errors[f"{name}, in place"] for name in ("CNN", "MLP")}
    return Outcome(rises["MLP"] - rises["CNN"], errors)


CLAIM = Claim(
    number="30",
    name="shifted_digit",
    words="특정 특질을 추출하기 위한 도구로서 같은 대상 크기에는 위치가 다르더라도 동일한 Weight 적용",
    sentence="Shared weights recognize what has moved.",
    method=(
        "A convolutional network and one of dense layers learn images in place; then test images are shifted by "
        "three pixels left, right, up and down."
    ),
    effect="rise of the error by the shift, of dense layers minus of convolutions",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="error in %",
)
