"""LeCun, Bottou, Bengio, Haffner 1998, section II.B: the input is larger than the largest character, so that end-points
and corners can appear in the center of the receptive fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = (
    "conv 6 5{0} tanh | pool 2 average | conv 16 5 tanh | pool 2 average | flatten | dense 120 tanh | dense 84 tanh"
    " | dense classes"
)
EPOCHS = 8


def measure(trial: Trial) -> Outcome:
    """Test errors of LeNet-5's layers on 28x28 pixels as they are, and in a frame of 32x32."""
    return compare_errors(
        trial,
        ("28x28", trial.recipe(NETWORK.format(""), EPOCHS)),
        ("28x28 in a frame of 32x32", trial.recipe(NETWORK.format(" pad 2"), EPOCHS)),
    )


CLAIM = Claim(
    number="37",
    name="framed_digit",
    words="32x32",
    sentence="A frame around the image helps.",
    method="LeNet-5's layers on images of 28x28, without a frame and with two pixels of black on each side.",
    effect="test error without a frame minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
