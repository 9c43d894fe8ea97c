"""Szegedy et al. 2014, "Going deeper with convolutions", section 4, and the lectures: since nobody knows which will do
well, take filters of 1x1, 3x3 and 5x5 and a pooling, all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.comparisons import errors_by_name

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS = 6
STEM = "conv 24 3 same relu | pool 2"
END = "pool 2 | gap | dense classes"
BRANCHES = [
    "conv 12 1 same relu",
    "conv 12 3 same relu",
    "conv 12 5 same relu",
    "pool 3 stride 1 same | conv 12 1 same relu",
]


def measure(trial: Trial) -> Outcome:
    """Test errors of modules with filters of one size, and with all sizes side by side."""
    measured = {}
    for size in (1, 3, 5):
        network = f"{STEM} | conv 48 {size} same relu | conv 48 {size} same relu | {END}"
        measured[f"{size}x{size} alone"] = trial.train(f"{size}x{size} alone", trial.recipe(network, EPOCHS))
    module = {"branches": BRANCHES}
    blocks = [{"layers": STEM}, module, module, {"layers": END}]
    file = trial.write_network("all sizes", {"block": blocks})
    measured["all sizes"] = trial.train("all sizes", trial.recipe(str(file), EPOCHS))
    errors = errors_by_name(measured)
    best = min(error for name, error in errors.items() if name != "all sizes")
    return Outcome(best - errors["all sizes"], errors)


CLAIM = Claim(
    number="21",
    name="all_filter_sizes",
    words="1 by 1, 3 by 3, 5 by 5, 3 by 3 max pooling을 다 해보자!",
    sentence="Filters of all sizes side by side are better than of one.",
    method=(
        "Two layers of 48 maps: all by filters of 1x1, 3x3 or 5x5, or twelve each by 1x1, 3x3, 5x5, and by 1x1 "
        "after a 3x3 max pooling, as in an inception module."
    ),
    effect="test error of the best single size minus of all sizes",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
