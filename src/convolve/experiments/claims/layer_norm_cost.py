"""The lectures on layer normalization: additional computation and memory may arise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORK = "conv 16 3 same{0} relu | pool 2 | conv 32 3 same{0} relu | pool 2 | flatten | dense 64 relu | dense classes"
BATCH, SIZE = 64, 28


def measure(trial: Trial) -> Outcome:
    """Seconds of a training step without normalization, with batch and with layer normalization."""
    from convolve.experiments.timing import time_steps

    kinds = {"none": "", "batch": " | norm batch |", "layer": " | norm layer |"}
    seconds = time_steps({kind: NETWORK.format(norm) for kind, norm in kinds.items()}, BATCH, SIZE, trial.seed)
    values = {kind: 1000 * each for kind, each in seconds.items()}
    return Outcome(seconds["layer"] / seconds["none"], values)


CLAIM = Claim(
    number="17d",
    name="layer_norm_cost",
    words="추가 계산 및 메모리 오버헤드가 발생할 수 있다",
    sentence="Layer normalization costs additional time.",
    method="Training steps of a small network on 64 images, in turn: median time without normalization and with each.",
    effect="time of a step with layer normalization over without",
    unit="times",
    supported=1.1,
    refuted=1.1,
    measure=measure,
    value="milliseconds of one core for a training step",
)
