"""Szegedy et al. 2014, "Going deeper with convolutions", section 5: heads on inner layers fight vanishing gradients and
regularize. Szegedy et al. 2015 ("Rethinking the Inception architecture", section 4) found no help early in training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, IMAGES, SIZE, WIDTH = 6, 3_000, 64, 0.25


def measure(trial: Trial) -> Outcome:
    """Test errors of a GoogLeNet of a quarter of the width without and with its auxiliary heads."""
    recipe = trial.recipe("googlenet", EPOCHS, images=IMAGES, size=SIZE)
    return compare_errors(
        trial,
        ("without", replace(recipe, design=Design(width=WIDTH, auxiliary=False))),
        ("with", replace(recipe, design=Design(width=WIDTH))),
    )


CLAIM = Claim(
    number="22",
    name="auxiliary_heads",
    words="보조 분류기는 그래디언트 소실 문제를 해결하고 정규화를 제공",
    sentence="Auxiliary classifiers help a deep network to learn.",
    method=(
        "GoogLeNet with a quarter of its channels, at 64x64 pixels, learns 3,000 images without and with "
        "auxiliary heads."
    ),
    effect="test error without auxiliary heads minus with them",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
