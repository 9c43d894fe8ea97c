"""The lectures' augmentation: more varied images, higher accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.datasets.augmentation import Augmentation
from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import augmented, compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 3 same relu | pool 2 | conv 48 3 same relu | pool 2 | flatten | dense 128 relu | dense classes"
EPOCHS, IMAGES = 30, 1_000
LEARNING_RATE = 0.001
CHANGES = Augmentation(rotate=10.0, scale=0.1, translate=0.1, flip=True)


def measure(trial: Trial) -> Outcome:
    """Test errors without and with small rotations, scalings, shifts and, of garments, flips."""
    recipe = trial.recipe(NETWORK, EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)
    return compare_errors(trial, ("as they are", recipe), ("augmented", augmented(recipe, CHANGES)))


CLAIM = Claim(
    number="8a",
    name="augmentation",
    words="보다 다양한 형태를 학습하게 됨으로써 더 높은 정확도를 얻을 수 있지 않을까?",
    sentence="Augmentation raises the accuracy.",
    method=(
        "A small network learns 1,000 images for 30 epochs as they are, or rotated by up to 10 degrees, scaled "
        "and shifted by up to 10 %, and flipped at random."
    ),
    effect="test error without augmentation minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
