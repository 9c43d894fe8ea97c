"""Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014, "Dropout: a simple way to prevent neural networks from
overfitting".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "flatten{0} | dense 512 relu{1} | dense 512 relu{1} | dense classes"
EPOCHS, IMAGES = 30, 1_000
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Test errors without and with dropout of 0.5, and of 0.2 on the pixels."""
    plain, dropped = NETWORK.format("", ""), NETWORK.format(" | dropout 0.2", " | dropout 0.5")
    return compare_errors(
        trial,
        ("without dropout", trial.recipe(plain, EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
        ("with dropout", trial.recipe(dropped, EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
    )


CLAIM = Claim(
    number="7",
    name="dropout",
    words="Over-fitting을 막기위해 Dropout을 사용",
    sentence="Dropout prevents overfitting.",
    method=(
        "Two dense layers of 512 units learn 1,000 images for 30 epochs, without dropout, and with the paper's 0.5 on"
        " units and 0.2 on pixels."
    ),
    effect="test error without dropout minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
