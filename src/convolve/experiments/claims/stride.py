"""The lectures on stride: one step at a time may take too long, so let the filter move by several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 32 3 same stride {0} relu | conv 32 3 same relu | gap | dense classes"
BATCH, SIZE = 32, 28


def measure(trial: Trial) -> Outcome:
    """Seconds of a training step with a first stride of 1 and of 2."""
    from convolve.experiments.timing import time_steps

    seconds = time_steps({f"stride {step}": NETWORK.format(step) for step in (1, 2)}, BATCH, SIZE, trial.seed)
    values = {name: 1000 * each for name, each in seconds.items()}
    return Outcome(seconds["stride 1"] / seconds["stride 2"], values)


CLAIM = Claim(
    number="35",
    name="stride",
    words="Filter가 한번에 여러 칸 이동하도록 허용하자(Stride)",
    sentence="A stride of 2 makes a network faster.",
    method=(
        "Training steps of two convolutions with a first stride of 1 or 2, in turn. A stride of 2 leaves a "
        "quarter of the multiply-adds; twice as fast is asked for."
    ),
    effect="time with stride 1 over time with stride 2",
    unit="times",
    supported=2.0,
    refuted=1.0,
    measure=measure,
    value="milliseconds of one core for a training step",
)
