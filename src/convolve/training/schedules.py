"""The learning rate as a pure function of the step; only `plateau` depends on the validation metric."""

from __future__ import annotations

import math

from convolve.training.recipe import Optimization

PLATEAU_FACTOR = 0.1
PLATEAU_PATIENCE = 5
"""`plateau` multiplies the learning rate by the factor after so many epochs without improvement."""

_DIVISOR, _LAST_DIVISOR = 25.0, 1e4 * 25.0


def learning_rate_at(optimization: Optimization, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The learning rate of step ``step``, counted from 0 over the whole training.

    Over the first ``warmup`` epochs it rises linearly (`one-cycle`: along a cosine from 1/25) to ``learning_rate``.
    Then: `constant` and `plateau` keep it; `step` divides it by 10 at half and at three quarters of the training
    (He et al. 2015, section 4.2); `cosine` lets it fall to 0 (Loshchilov and Hutter 2017, equation 5); `one-cycle` to
    1/250,000 (Smith and Topin 2018). ``optimization`` has no None left.
    """
    rate, schedule = optimization.learning_rate or 0.0, optimization.schedule
    total = steps_per_epoch * epochs
    rising = min(round((optimization.warmup or 0.0) * steps_per_epoch), total)
    if schedule == "one-cycle":
        return rate * _one_cycle(step, max(rising, 1), total)
    if step < rising:
        return rate * (step + 1) / rising
    if schedule == "step":
        return rate * 0.1 ** ((2 * step >= total) + (4 * step >= 3 * total))
    if schedule == "cosine":
        return rate * _half_cosine((step - rising) / max(total - rising, 1))
    return rate


def _one_cycle(step: int, rising: int, total: int) -> float:
    """Fraction of the highest learning rate, which is reached at step ``rising - 1``."""
    top = rising - 1
    if step < top:
        return 1 - (1 - 1 / _DIVISOR) * _half_cosine(step / top)
    return 1 / _LAST_DIVISOR + (1 - 1 / _LAST_DIVISOR) * _half_cosine((step - top) / max(total - 1 - top, 1))


def _half_cosine(fraction: float) -> float:
    """From 1 to 0 along half a cosine, as ``fraction`` goes from 0 to 1."""
    return (1 + math.cos(math.pi * min(fraction, 1.0))) / 2
