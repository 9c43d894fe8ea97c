"""Krizhevsky, Sutskever, Hinton 2012, section 3.3: local response normalization lowers the top-1 error by 1.4 %.

Simonyan, Zisserman 2014 found no gain (table 3, A-LRN).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 5 same relu{0} | pool 2 | conv 48 3 same relu{0} | pool 2 | flatten | dense 64 relu | dense classes"
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors without and with LRN after each activation."""
    return compare_errors(
        trial,
        ("without LRN", trial.recipe(NETWORK.format(""), EPOCHS)),
        ("with LRN", trial.recipe(NETWORK.format(" | norm lrn"), EPOCHS)),
    )


CLAIM = Claim(
    number="6",
    name="lrn",
    words="이를 방지하기 위해 같은 위치에 있는 픽셀끼리 정규화.",
    sentence="Local response normalization helps a network of ReLUs.",
    method="A small network without and with LRN after each activation, with AlexNet's constants.",
    effect="test error without LRN minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
