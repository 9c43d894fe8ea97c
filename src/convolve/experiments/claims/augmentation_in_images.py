"""Krizhevsky, Sutskever, Hinton 2012, section 4.1: crops and mirror images make the training set 2048 times larger,
though its examples are highly interdependent.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from convolve.datasets.augmentation import Augmentation
from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import augmented

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 24 3 same relu | pool 2 | conv 48 3 same relu | pool 2 | flatten | dense 128 relu | dense classes"
BASE, STEPS = 500, 40 * 500
COUNTS = (500, 1_000, 2_000, 4_000, 8_000)
CHANGES = Augmentation(translate=0.1, flip=True)


def measure(trial: Trial) -> Outcome:
    """How many real images give the test error that 500 give with augmentation, in multiples of 500."""
    counts = (BASE,) if trial.quick else COUNTS
    errors = {}
    for count in counts:
        recipe = trial.recipe(NETWORK, max(STEPS // count, 1), images=count)
        errors[count] = trial.train(f"{count} images", recipe).test_error
    reached = trial.train(
        f"{BASE} augmented", augmented(trial.recipe(NETWORK, STEPS // BASE, images=BASE), CHANGES)
    ).test_error
    values = {f"{count} images": error for count, error in errors.items()} | {f"{BASE} augmented": reached}
    return Outcome(images_for(errors, reached) / BASE, values)


def images_for(errors: dict[int, float], reached: float) -> float:
    """How many images give an error, by straight lines between the logarithms of their numbers; at most the most, and
    at least the fewest.
    """
    counts = sorted(errors)
    for few, many in pairwise(counts):
        if errors[few] >= reached > errors[many]:
            fraction = (errors[few] - reached) / (errors[few] - errors[many])
            return math.exp(math.log(few) + fraction * (math.log(many) - math.log(few)))
    return float(counts[0] if reached >= errors[counts[0]] else counts[-1])


CLAIM = Claim(
    number="9",
    name="augmentation_in_images",
    words="AlexNet에서는 데이터 양을 약 2048배 증진.",
    sentence="Augmentation is worth 2048 times as many images.",
    method=(
        "A small network learns 500, 1,000 ... 8,000 images in as many steps, and 500 with random shifts and mirror"
        " images, which is AlexNet's augmentation: how many real images give the error of the augmented ones? At most"
        " 8,000 are tried, so that more than 16 times is counted as 16: this can refute the claim, not support it."
    ),
    effect="images that augmentation is worth, over those there are",
    unit="times",
    supported=2048.0,
    refuted=16.0,
    measure=measure,
)
