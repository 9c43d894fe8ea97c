"""He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", figure 5: a bottleneck block costs as much
as a basic one, and ResNet-50 (3.8 billion multiply-adds) is better than ResNet-34 (3.6 billion).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, SIZE, WIDTH = 4, 64, 0.25


def measure(trial: Trial) -> Outcome:
    """Test errors of ResNet-34 and ResNet-50 with a quarter of their channels."""
    design = Design(width=WIDTH)
    basic, bottleneck = (
        (name, replace(trial.recipe(name, EPOCHS, size=SIZE), design=design)) for name in ("resnet34", "resnet50")
    )
    return compare_errors(trial, basic, bottleneck)


CLAIM = Claim(
    number="51",
    name="bottleneck",
    words="Bottleneck Layer",
    sentence="At equal cost bottleneck blocks are better than basic ones.",
    method="ResNet-34 and ResNet-50 with a quarter of their channels, at 64x64 pixels, after equal epochs.",
    effect="test error with basic blocks minus with bottlenecks",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
