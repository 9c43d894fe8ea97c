"""The other side of augmentation: what changes the class harms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.datasets.augmentation import Augmentation
from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import augmented, compare_errors
from convolve.training.recipe import Splitting

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 3 same relu | pool 2 | conv 48 3 same relu | pool 2 | flatten | dense 128 relu | dense classes"
EPOCHS = 20


def measure(trial: Trial) -> Outcome:
    """Test errors on handwritten digits, with and without flips of both kinds."""
    recipe = trial.recipe(NETWORK, EPOCHS, size=16)
    digits = replace(recipe, data="digits", splitting=Splitting())
    flips = Augmentation(flip=True, vertical_flip=True)
    return compare_errors(trial, ("flipped", augmented(digits, flips)), ("as they are", digits))


CLAIM = Claim(
    number="8b",
    name="flipped_digits",
    words="이미지 회전, 상하 반전, 약간의 노이즈 추가 등",
    sentence="Flips, which the lectures list as augmentation, harm where they change the digit.",
    method="A small network learns scikit-learn's digits as they are, or flipped both ways at random.",
    effect="test error with flips minus without",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
