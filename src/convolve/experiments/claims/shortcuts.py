"""He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", table 3: with projections (C) 24.19 % top-1
error, without parameters (A) 25.03 %.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORKS = {"A, zeros": "resnet18_a", "B, projections where needed": "resnet18", "C, projections": "resnet18_c"}
EPOCHS, SIZE, WIDTH = 5, 64, 0.25


def measure(trial: Trial) -> Outcome:
    """Test errors of ResNet-18 with the three kinds of shortcuts."""
    design = Design(width=WIDTH)
    measured = {
        name: trial.train(name, replace(trial.recipe(network, EPOCHS, size=SIZE), design=design))
        for name, network in NETWORKS.items()
    }
    errors = errors_by_name(measured)
    return Outcome(errors["A, zeros"] - errors["C, projections"], errors)


CLAIM = Claim(
    number="48",
    name="shortcuts",
    words="Projection Shortcut",
    sentence="Projection shortcuts are better than identity shortcuts.",
    method="ResNet-18 with a quarter of its channels, at 64x64 pixels, with the paper's shortcuts A, B and C.",
    effect="test error with shortcuts A minus with C",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
