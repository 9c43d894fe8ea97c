"""The lectures' reason for activation functions: W2 (W1 x) = (W2 W1) x."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

_LEAST = 1e-16


def measure(trial: Trial) -> Outcome:
    """How far two linear layers are from the one layer of their product, relative to the scores."""
    import numpy as np

    generator = np.random.default_rng(trial.seed)
    inputs, first, second = (generator.standard_normal(shape) for shape in ((64, 784), (784, 100), (100, 10)))
    two, one = (inputs @ first) @ second, inputs @ (first @ second)
    difference = float(np.abs(two - one).max() / np.abs(one).max())
    rectified = np.maximum(inputs @ first, 0) @ second
    with_relu = float(np.abs(rectified - one).max() / np.abs(one).max())
    return Outcome(
        -math.log10(max(difference, _LEAST)), {"two linear layers": difference, "with ReLU between them": with_relu}
    )


CLAIM = Claim(
    number="3",
    name="linear_layers",
    words="레이어를 하나 쌓는 것",
    sentence="Two layers without an activation function between them are one layer.",
    method=(
        "Two random linear layers, 784 to 100 to 10 units, on 64 random inputs, against the one layer whose weights are"
        " the product of theirs, in double precision."
    ),
    effect="decimal digits in which the scores agree",
    unit="digits",
    supported=10.0,
    refuted=3.0,
    measure=measure,
    value="largest difference from one layer, relative",
    exact=True,
)
