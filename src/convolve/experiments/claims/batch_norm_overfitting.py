"""Ioffe, Szegedy 2015, "Batch normalization", section 3.4: it regularizes the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_gaps

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 3 same{0} relu | pool 2 | conv 48 3 same{0} relu | pool 2 | flatten | dense 128 relu | dense classes"
EPOCHS, IMAGES = 20, 1_000
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Gaps from training to test error without and with batch normalization."""
    return compare_gaps(
        trial,
        ("without", trial.recipe(NETWORK.format(""), EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
        ("with", trial.recipe(NETWORK.format(" | norm batch |"), EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
    )


CLAIM = Claim(
    number="15",
    name="batch_norm_overfitting",
    words="일반화를 개선하고 overfitting을 감소시킨다.",
    sentence="Batch normalization reduces overfitting.",
    method="A small network without and with batch normalization learns 1,000 images for 20 epochs.",
    effect="gap from training to test error without batch normalization minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="error in %",
)
