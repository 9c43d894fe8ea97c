"""Huang, Liu, van der Maaten, Weinberger 2016, "Densely connected convolutional networks", section 4.3: as good as a
ResNet with fewer parameters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, SIZE = 5, 16


def measure(trial: Trial) -> Outcome:
    """Test errors of a residual and a dense network with fewer parameters."""
    dense = replace(trial.recipe("densenet40_cifar", EPOCHS, size=SIZE), design=Design(width=0.5))
    return compare_errors(
        trial,
        ("ResNet-44, 0.66 M", trial.recipe("resnet44_cifar", EPOCHS, size=SIZE)),
        ("DenseNet-40 of half width, 0.26 M", dense),
    )


CLAIM = Claim(
    number="26",
    name="dense_connections",
    words="Dense Connection",
    sentence="Dense connections are as good as residual ones, with fewer parameters.",
    method=(
        "ResNet-44 with 0.66 million parameters, and DenseNet-40 with half its channels and 0.26 million, at "
        "16x16 pixels. Half a percentage point counts as equal."
    ),
    effect="test error of the residual network minus that of the dense one",
    unit="percentage points",
    supported=-0.5,
    refuted=-0.5,
    measure=measure,
)
