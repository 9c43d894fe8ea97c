"""The lectures on layer normalization: it may be sensitive to the learning rate and the initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import with_sgd

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 16 3 same{0} relu | pool 2 | conv 32 3 same{0} relu | pool 2 | flatten | dense 64 relu | dense classes"
RATES = (0.003, 0.03, 0.3)
EPOCHS, IMAGES = 3, 2_000


def measure(trial: Trial) -> Outcome:
    """How far apart the test errors of three learning rates are with each normalization."""
    errors, ranges = {}, {}
    for kind in ("batch", "layer"):
        found = []
        for rate in RATES:
            recipe = with_sgd(trial.recipe(NETWORK.format(f" | norm {kind} |"), EPOCHS, images=IMAGES), rate)
            errors[f"{kind}, rate {rate:g}"] = trial.train(f"{kind}, rate {rate:g}", recipe).test_error
            found.append(errors[f"{kind}, rate {rate:g}"])
        ranges[kind] = max(found) - min(found)
    return Outcome(ranges["layer"] - ranges["batch"], errors)


CLAIM = Claim(
    number="17c",
    name="layer_norm_sensitivity",
    words="learning_rate, 가중치 초기화 같은 하이퍼파라미터 조정에 민감할 수 있다.",
    sentence="Layer normalization is more sensitive to the learning rate than batch normalization.",
    method=(
        "A small network with batch or layer normalization learns 2,000 images for three epochs at learning rates "
        "of 0.003, 0.03 and 0.3 (SGD with momentum 0.9): how far apart are the errors?"
    ),
    effect="range of the test errors with layer normalization minus with batch normalization",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
