"""Ba, Kiros, Hinton 2016, "Layer normalization": it works with batches of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.batch_sizes import errors_by_batch
from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """Test errors of batch and layer normalization in batches of 2."""
    errors = errors_by_batch(trial, {"batch": " | norm batch |", "layer": " | norm layer |"}, (2,))
    return Outcome(errors["batch, batches of 2"] - errors["layer, batches of 2"], errors)


CLAIM = Claim(
    number="17a",
    name="layer_norm_small_batches",
    words="작은 배치 크기에서 극단적 결과를 내는데 반해, 작은 batch size에서도 효과적인 이용이 가능",
    sentence="In small batches layer normalization is better than batch normalization.",
    method="A small network with batch or layer normalization learns 2,000 images for three epochs in batches of 2.",
    effect="test error with batch normalization minus with layer normalization",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
