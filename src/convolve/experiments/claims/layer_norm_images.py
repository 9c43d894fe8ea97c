"""Ba, Kiros, Hinton 2016, "Layer normalization", section 6.7: batch normalization is better for convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.batch_sizes import errors_by_batch
from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """Test errors of batch and layer normalization in batches of 64."""
    errors = errors_by_batch(trial, {"batch": " | norm batch |", "layer": " | norm layer |"}, (64,))
    return Outcome(errors["layer, batches of 64"] - errors["batch, batches of 64"], errors)


CLAIM = Claim(
    number="17b",
    name="layer_norm_images",
    words="피드포워드 네트워크 모델에서는 Batch Normalization 만큼 잘 동작하지 않을 수 있다.",
    sentence="In feed-forward networks layer normalization may be worse than batch normalization.",
    method="A small network with batch or layer normalization learns 2,000 images for three epochs in batches of 64.",
    effect="test error with layer normalization minus with batch normalization",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
