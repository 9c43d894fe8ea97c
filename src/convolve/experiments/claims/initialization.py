"""Glorot, Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", and the test of
CS231n: the spread of activations through ten layers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

LAYERS, UNITS, INPUTS = 10, 500, 1_000
DEVIATIONS = {"0.01": 0.01, "Xavier, 1 / sqrt(D)": 1 / math.sqrt(UNITS), "1": 1.0}


def measure(trial: Trial) -> Outcome:
    """Standard deviations of tanh's values in each of ten layers, by the deviation of the weights."""
    import numpy as np

    curves, last = {}, {}
    for name, deviation in DEVIATIONS.items():
        generator = np.random.default_rng(trial.seed)
        values = generator.standard_normal((INPUTS, UNITS))
        spread = []
        for _ in range(LAYERS):
            values = np.tanh(values @ generator.normal(0, deviation, (UNITS, UNITS)))
            spread.append(float(values.std()))
        curves[name] = [(float(layer), math.log10(std)) for layer, std in enumerate(spread, 1)]
        last[name] = spread[-1]
    return Outcome(math.log10(last["Xavier, 1 / sqrt(D)"] / last["0.01"]), last, curves)


CLAIM = Claim(
    number="29",
    name="initialization",
    words="Xavier initialize",
    sentence="With Xavier's initialization signals pass ten layers, where with small weights they vanish.",
    method=(
        "1,000 random inputs pass ten layers of 500 units with tanh; weights are normal with deviation 0.01, 1 / "
        "sqrt(500) or 1. Compared are the deviations of the last layer's values."
    ),
    effect="deviation of the last layer with Xavier's weights over that with 0.01",
    unit="powers of ten",
    supported=2.0,
    refuted=1.0,
    measure=measure,
    value="deviation of the last layer's values",
    axes=("layer", "log10 of the deviation"),
)
