"""Simonyan, Zisserman 2014, "Very deep convolutional networks for large-scale image recognition", table 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, DEPTHS = 8, (1, 2, 3)
LEARNING_RATE = 0.001
WIDTHS = (16, 32, 64)


def measure(trial: Trial) -> Outcome:
    """Test errors with one, two and three 3x3 convolutions before each pooling."""
    measured = {}
    for depth in DEPTHS:
        stages = [" | ".join([f"conv {width} 3 same relu"] * depth) + " | pool 2" for width in WIDTHS]
        network = " | ".join(stages) + " | flatten | dense 128 relu | dense classes"
        layers = f"{depth * len(WIDTHS) + 2} layers"
        measured[layers] = trial.train(layers, trial.recipe(network, EPOCHS, learning_rate=LEARNING_RATE))
    errors = errors_by_name(measured)
    shallow, *_, deep = errors.values()
    return Outcome(shallow - deep, errors)


CLAIM = Claim(
    number="10",
    name="vgg_depth",
    words="Network의 깊이가 깊어짐에 따라 높은 성능을 보임을 증명",
    sentence="Deeper networks of 3x3 filters are better.",
    method=(
        "Three stages of 16, 32 and 64 filters of 3x3, with one, two or three convolutions each, then two dense layers:"
        " VGG's design at a size that two cores can train."
    ),
    effect="test error of 5 layers minus that of 11",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
