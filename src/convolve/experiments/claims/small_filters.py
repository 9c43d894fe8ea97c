"""The lectures on VGG: two filters of 3x3 have 18 weights where one of 5x5 has 25, and see as much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

CHANNELS, BATCH, SIZE = 64, 16, 28
HEAD = "| gap | dense classes"


def measure(trial: Trial) -> Outcome:
    """Seconds of a training step with one convolution of 5x5, and with two of 3x3."""
    from convolve.experiments.timing import time_steps

    stem = f"conv {CHANNELS} 1 relu"
    networks = {
        "one 5x5": f"{stem} | conv {CHANNELS} 5 same relu {HEAD}",
        "two 3x3": f"{stem} | conv {CHANNELS} 3 same relu | conv {CHANNELS} 3 same relu {HEAD}",
    }
    seconds = time_steps(networks, BATCH, SIZE, trial.seed)
    values = {name: 1000 * each for name, each in seconds.items()}
    return Outcome(seconds["one 5x5"] / seconds["two 3x3"], values)


CLAIM = Claim(
    number="18",
    name="small_filters",
    words="Parameter 수를 줄임(3x3x2=18개, 5x5=25개) -> Light Memory",
    sentence="Two filters of 3x3 in place of one of 5x5 save 28 % of the weights, and of the time.",
    method=(
        "64 channels of 28x28, 16 images: training steps with one 5x5 convolution, and with two of 3x3 and a ReLU "
        "between them. By the count of multiply-adds the one takes 25 / 18 = 1.39 times as long; the claim is "
        "that it is slower at all."
    ),
    effect="time with one 5x5 over time with two 3x3",
    unit="times",
    supported=1.0,
    refuted=1.0,
    measure=measure,
    value="milliseconds of one core for a training step",
)
