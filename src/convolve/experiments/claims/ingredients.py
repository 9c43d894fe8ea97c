"""The lectures' list of AlexNet's ingredients: ReLU, LRN, overlapping pooling, augmentation, dropout. One is left out
at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.datasets.augmentation import Augmentation
from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import augmented, errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = (
    "conv 24 5 same {relu}{lrn} | pool {pool} | conv 48 3 same {relu}{lrn} | pool {pool} | flatten{drop}"
    " | dense 128 {relu}{drop} | dense classes"
)
ALL = {"relu": "relu", "lrn": " | norm lrn", "pool": "3 stride 2 pad 1", "drop": " | dropout 0.5"}
LESS = {"ReLU": {"relu": "tanh"}, "LRN": {"lrn": ""}, "overlap": {"pool": "2"}, "dropout": {"drop": ""}}
CHANGES = Augmentation(translate=0.1, flip=True)
EPOCHS, IMAGES = 40, 1_000
LEARNING_RATE = 0.001


def measure(trial: Trial) -> Outcome:
    """Test errors with all ingredients, and without each of them: the effect is the least that one of them gains."""
    whole = trial.recipe(NETWORK.format(**ALL), EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)
    measured = {"all": trial.train("all", augmented(whole, CHANGES))}
    for name, less in LESS.items():
        recipe = trial.recipe(NETWORK.format(**ALL | less), EPOCHS, images=IMAGES, learning_rate=LEARNING_RATE)
        measured[f"without {name}"] = trial.train(f"without {name}", augmented(recipe, CHANGES))
    measured["without augmentation"] = trial.train("without augmentation", whole)
    errors = errors_by_name(measured)
    return Outcome(min(error - errors["all"] for name, error in errors.items() if name != "all"), errors)


CLAIM = Claim(
    number="45",
    name="ingredients",
    words="3x3 Overlapping pooling 사용 (Stride = 2)",
    sentence="Each of AlexNet's ingredients helps: ReLU, LRN, overlapping pooling, dropout, augmentation.",
    method=(
        "A small network with all five learns 1,000 images for 40 epochs; then one is left out at a time. The "
        "claim is as strong as the ingredient that gains the least."
    ),
    effect="least rise of the test error when one ingredient is left out",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
