"""Krizhevsky, Sutskever, Hinton 2012, section 3.2: two towers lower the top-1 error by 1.7 % against a network with
half as many filters in each convolution, trained on one GPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

TWO = (
    "conv 32 5 same relu | pool 2 | conv 64 3 same groups 2 relu | pool 2 | conv 64 3 same relu"
    " | conv 64 3 same groups 2 relu | pool 2 | flatten | dense 64 relu | dense classes"
)
ONE = (
    "conv 16 5 same relu | pool 2 | conv 32 3 same relu | pool 2 | conv 32 3 same relu"
    " | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes"
)
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Test errors of one tower, and of two that exchange maps before the third convolution."""
    return compare_errors(trial, ("one tower", trial.recipe(ONE, EPOCHS)), ("two towers", trial.recipe(TWO, EPOCHS)))


CLAIM = Claim(
    number="5",
    name="two_towers",
    words="2개의 GPU를 사용한 병렬적 구조 → one-GPU 네트워크에 비해 error rate을 약 1.7% 낮춰줌.",
    sentence="Two parallel towers lower the error by about 1.7 %.",
    method=(
        "Four convolutions in two groups, which see each other in the third as in AlexNet, against one tower of half as"
        " many filters: the paper's own comparison, in which two towers have more weights too."
    ),
    effect="test error of one tower minus that of two",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
