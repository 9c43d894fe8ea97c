"""What a claim is: a sentence of the lectures, an experiment, and what would support or refute it.

Both bounds are written down before anything is run. The verdict is given by `findings.verdict` from the effects of at
least three seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


@dataclass(frozen=True)
class Outcome:
    """What one seed gave.

    ``effect`` is what the verdict is about. ``values`` are the numbers behind it by name, which the figure shows as
    bars; where there are ``curves`` (y against x, by name), it shows those instead.
    """

    effect: float
    values: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A sentence of the lectures and how it is tried.

    ``words`` are the lecture's own, ``sentence`` what they claim, in English. ``method`` says what is done, ``effect``
    what is measured and in which ``unit``: the larger, the more it speaks for the claim. The claim is supported where
    the effect is at least ``supported`` and refuted where it is below ``refuted``, both beyond its uncertainty.
    ``value`` names what the outcome's values are, ``axes`` the x and y of its curves. With ``exact`` the outcome does
    not depend on a seed, and one is enough.
    """

    number: str
    name: str
    words: str
    sentence: str
    method: str
    effect: str
    unit: str
    supported: float
    refuted: float
    measure: Callable[[Trial], Outcome]
    value: str = "test error in %"
    axes: tuple[str, str] = ("", "")
    exact: bool = False
