"""The lectures' ladder: nearest neighbors, a linear score, two layers, three layers (99.5 % in training and 97.3 % on
test images of MNIST), then convolution.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORKS = {
    "linear": "flatten | dense classes",
    "two layers": "flatten | dense 100 relu | dense classes",
    "three layers": "flatten | dense 100 relu | dense 100 relu | dense classes",
    "CNN": "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | flatten | dense 64 relu | dense classes",
}
EPOCHS, NEIGHBORS = 10, 5


def measure(trial: Trial) -> Outcome:
    """Test errors from nearest neighbors to convolution: the effect is the smallest step from one to the next."""
    errors = {"kNN": nearest_neighbors_error(trial)}
    errors |= {name: trial.train(name, trial.recipe(text, EPOCHS)).test_error for name, text in NETWORKS.items()}
    return Outcome(min(before - after for before, after in pairwise(errors.values())), errors)


def nearest_neighbors_error(trial: Trial) -> float:
    """The error in per cent of five nearest neighbors among as many training images, on 2,000 images for test."""
    from sklearn.neighbors import KNeighborsClassifier

    train, test = (1_200, 597) if trial.quick else (6_000, 2_000)
    images, labels = trial.batch(train + test)
    pixels, classes = images.flatten(1).numpy(), labels.numpy()
    model = KNeighborsClassifier(NEIGHBORS).fit(pixels[:train], classes[:train])
    return float(100 * (1 - model.score(pixels[train:], classes[train:])))


CLAIM = Claim(
    number="47",
    name="ladder",
    words="train acc, test acc | 99.500, 97.3000",
    sentence=(
        "Each is better than the one before: nearest neighbors, a linear layer, two layers, three layers, convolution."
    ),
    method=(
        "Five nearest neighbors, and networks of one, two and three dense layers and of two convolutions, on "
        "6,000 images. The claim is as strong as the smallest of the four steps."
    ),
    effect="smallest fall of the test error from one to the next",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
