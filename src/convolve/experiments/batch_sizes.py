"""Normalizations in batches of different sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.comparisons import with_sgd

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 16 3 same{0} relu | pool 2 | conv 32 3 same{0} relu | pool 2 | flatten | dense 64 relu | dense classes"
EPOCHS, IMAGES = 3, 2_000
LEARNING_RATE, BATCH = 0.03, 64


def errors_by_batch(trial: Trial, norms: Mapping[str, str], batches: Sequence[int]) -> dict[str, float]:
    """Test errors in per cent by `NORM, batches of N`: SGD with momentum, the learning rate in proportion to the square
    root of the batch.
    """
    errors = {}
    for name, norm in norms.items():
        for batch in batches:
            recipe = with_sgd(
                trial.recipe(NETWORK.format(norm), EPOCHS, images=IMAGES), LEARNING_RATE * math.sqrt(batch / BATCH)
            )
            both = f"{name}, batches of {batch}"
            errors[both] = trial.train(both, replace(recipe, batch=batch)).test_error
    return errors
