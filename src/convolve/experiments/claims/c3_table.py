"""LeCun, Bottou, Bengio, Haffner 1998, section II.B and table I: C3's maps see some of S2's only, which keeps
connections few and breaks symmetry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import compare_errors
from convolve.layers.design import Design

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS = 8


def measure(trial: Trial) -> Outcome:
    """Test errors of LeNet-5 with full connections, and with those of its table."""
    recipe = trial.recipe("lenet5", EPOCHS, size=32)
    return compare_errors(
        trial,
        ("full", replace(recipe, design=Design(connections="full"))),
        ("table", replace(recipe, design=Design(connections="table"))),
    )


CLAIM = Claim(
    number="38",
    name="c3_table",
    words="1516",
    sentence="LeNet-5's table of connections is as good as full connections.",
    method=(
        "LeNet-5 with its table in C3 (1,516 parameters), and with full connections. Half a percentage point "
        "counts as equal."
    ),
    effect="test error with full connections minus with the table",
    unit="percentage points",
    supported=-0.5,
    refuted=-0.5,
    measure=measure,
)
