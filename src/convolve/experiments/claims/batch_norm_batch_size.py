"""Wu, He 2018, "Group normalization", figure 1: the error of batch normalization grows as batches become small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.batch_sizes import errors_by_batch
from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """By how much smaller batches raise the test error more with batch normalization than without."""
    errors = errors_by_batch(trial, {"no normalization": "", "batch": " | norm batch |"}, (64, 2))
    with_it = errors["batch, batches of 2"] - errors["batch, batches of 64"]
    without = errors["no normalization, batches of 2"] - errors["no normalization, batches of 64"]
    return Outcome(with_it - without, errors)


CLAIM = Claim(
    number="16",
    name="batch_norm_batch_size",
    words="미니배치 크기에 의존한다.",
    sentence="Batch normalization depends on the size of the batch.",
    method=(
        "A small network without and with batch normalization learns 2,000 images for three epochs, in batches of "
        "64 and of 2, at a learning rate in proportion to the square root of the batch."
    ),
    effect="rise of the test error from batches of 64 to 2, with batch normalization minus without",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
