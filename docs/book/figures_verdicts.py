"""The figures of the chapter on claims, computed by `convolve.experiments.findings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from plots import grid
from scipy.stats import t  # type: ignore[import-untyped]

from convolve.experiments.catalog import find
from convolve.experiments.claim import Outcome
from convolve.experiments.findings import Finding, Seed, verdict
from convolve.reports.colors import INK, LINE, MUTED, RIGHT, WRONG

REFUTED, SUPPORTED = 1.0, 2.0
EFFECTS = ((2.4, 2.5, 2.3), (0.9, 2.9, 2.2), (1.4, 1.6, 1.5), (0.1, 0.4, 0.3))
"""Those of three seeds each."""
_COLORS = {"supported": RIGHT, "undecided": MUTED, "refuted": WRONG}


def verdicts() -> Figure:
    """The effects of three seeds as dots, the interval of their mean as a bar in the color of the verdict."""
    figure, (ax,) = grid(1, 1, (5.2, 2.2))
    claim = replace(find("vanishing_gradients"), supported=SUPPORTED, refuted=REFUTED)
    for row, effects in enumerate(EFFECTS):
        seeds = tuple(Seed(number, 0.0, Outcome(effect, {})) for number, effect in enumerate(effects))
        found = verdict(claim, Finding(claim.name, quick=False, machine="", date="", recipes={}, seeds=seeds))
        ends = (found.mean - found.half_width, found.mean + found.half_width)
        ax.plot(ends, (row, row), color=_COLORS[found.word], linewidth=5, solid_capstyle="butt", alpha=0.7)
        ax.plot(effects, [row] * len(effects), "o", color=INK, markersize=3.5)
    for bound in (REFUTED, SUPPORTED):
        ax.axvline(bound, color=INK, linewidth=1, linestyle="--")
    ax.set_yticks(range(len(EFFECTS)), "ABCD")
    ax.set(ylim=(len(EFFECTS) - 0.5, -0.5))
    ax.grid(axis="x", color=LINE, linewidth=0.5)
    return figure


def seeds() -> Figure:
    """Half the width of the interval in standard deviations, by the number of seeds: Student's t, and 1.96."""
    figure, (ax,) = grid(1, 1, (5.2, 2.4))
    numbers = np.arange(3, 21)
    ax.plot(numbers, t.ppf(0.975, numbers - 1) / numbers**0.5, "o-", color=RIGHT, markersize=4, label="t / √n")
    ax.plot(numbers, 1.96 / numbers**0.5, "--", color=WRONG, label="1.96 / √n")
    ax.set(xlim=(2.5, 20.5), ylim=(0, 2.6), xticks=(3, 5, 10, 15, 20), xlabel="n")
    ax.grid(color=LINE, linewidth=0.5)
    ax.legend(frameon=False, fontsize=8, labelcolor=INK)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {"claims-verdicts.svg": verdicts, "claims-seeds.svg": seeds}
