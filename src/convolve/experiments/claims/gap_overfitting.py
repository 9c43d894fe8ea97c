"""Lin, Chen, Yan 2013, "Network in network", section 3.2 and table 5: global average pooling is a regularizer where
dense layers overfit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_gaps

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

BODY = "conv 32 3 same relu | conv 32 3 same relu | pool 2 | conv 64 3 same relu | conv 64 3 same relu | pool 2"
EPOCHS, IMAGES = 40, 1_000
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Gaps from training to test error with two dense layers, and with global average pooling."""
    dense, pooled = f"{BODY} | flatten | dense 128 relu | dense classes", f"{BODY} | gap | dense classes"
    return compare_gaps(
        trial,
        ("dense layers", trial.recipe(dense, EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
        ("GAP", trial.recipe(pooled, EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)),
    )


CLAIM = Claim(
    number="23",
    name="gap_overfitting",
    words="Fully Connected Layer 대신 Global Average Pooling (GAP) 이라는 개념을 도입",
    sentence="Global average pooling in place of dense layers reduces overfitting.",
    method=(
        "Four convolutions, then two dense layers, or global average pooling and one, learn 1,000 images for 40 epochs."
    ),
    effect="gap from training to test error with dense layers minus with GAP",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="error in %",
)
