"""What was found of a claim, seed by seed, and the verdict that follows."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from convolve.errors import ClaimError
from convolve.experiments.claim import Claim, Outcome
from convolve.files import write_text
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import read_file

Word = Literal["supported", "refuted", "undecided"]
SEEDS = 3
"""Fewer give no verdict."""
_CONFIDENCE = 0.95
_MEASURED = Path(__file__).parent / "measured"


@dataclass(frozen=True)
class Seed:
    """What one seed gave, and in how many seconds."""

    seed: int
    seconds: float
    outcome: Outcome


@dataclass(frozen=True)
class Finding:
    """All that was found of a claim: on which ``machine`` and ``date``, by which ``recipes``, for each seed. With
    ``quick`` it was tried on scikit-learn's digits alone.
    """

    claim: str
    quick: bool
    machine: str
    date: str
    recipes: Mapping[str, Mapping[str, Any]]
    seeds: tuple[Seed, ...]

    @property
    def seconds(self) -> float:
        """What all seeds took."""
        return sum(seed.seconds for seed in self.seeds)

    def as_json(self) -> dict[str, Any]:
        """The finding as plain dictionaries, lists, strings and numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """What the effects of all seeds say: their mean, and half the width of its 95 % confidence interval (Student's t),
    which is infinite for a single seed.
    """

    word: Word
    mean: float
    half_width: float

    def as_json(self) -> dict[str, Any]:
        """`verdict`, `effect` and `half_width`, which is null where there is none."""
        half_width = self.half_width if math.isfinite(self.half_width) else None
        return {"verdict": self.word, "effect": self.mean, "half_width": half_width}


def verdict(claim: Claim, finding: Finding) -> Verdict:
    """Whether the claim is supported: the interval of the mean effect lies at or above the bound that was set before;
    refuted: below the other bound; else, or with fewer than three seeds, undecided. An exact outcome needs one.
    """
    effects = [seed.outcome.effect for seed in finding.seeds]
    mean = statistics.fmean(effects)
    half_width = 0.0 if claim.exact else _half_width(effects)
    if not claim.exact and len(effects) < SEEDS:
        return Verdict("undecided", mean, half_width)
    if mean - half_width >= claim.supported:
        return Verdict("supported", mean, half_width)
    if mean + half_width < claim.refuted:
        return Verdict("refuted", mean, half_width)
    return Verdict("undecided", mean, half_width)


def _half_width(effects: list[float]) -> float:
    from scipy.stats import t  # type: ignore[import-untyped]

    if len(effects) < 2:
        return math.inf
    quantile = float(t.ppf((1 + _CONFIDENCE) / 2, len(effects) - 1))
    return quantile * statistics.stdev(effects) / math.sqrt(len(effects))


def file_of(folder: Path, claim: str, *, quick: bool) -> Path:
    """Where a finding is kept."""
    return folder / (f"{claim}-quick.json" if quick else f"{claim}.json")


def write_finding(path: Path, finding: Finding) -> None:
    """Write a finding. Raises `ConvolveError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(finding.as_json(), ensure_ascii=False, indent=1) + "\n")


def read_finding(path: Path) -> Finding | None:
    """The finding in a file, None where there is none. Raises `ClaimError` where it is damaged."""
    if not path.exists():
        return None
    try:
        document = parse_json(read_file(path))
        seeds = tuple(_parse_seed(seed) for seed in document["seeds"])
        texts = {name: str(document[name]) for name in ("claim", "machine", "date")}
        if not seeds:
            raise ValueError("it has no seeds")
        return Finding(**texts, quick=bool(document["quick"]), recipes=dict(document["recipes"]), seeds=seeds)
    except OSError as error:
        raise ClaimError(f"{path} cannot be read ({error.strerror}); delete it to try the claim again.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ClaimError(f"{path} is damaged; delete it to try the claim again.") from error


def published_finding(claim: str) -> Finding | None:
    """What the documentation tells of a claim, if it has been tried in full."""
    return read_finding(file_of(_MEASURED, claim, quick=False))


def _parse_seed(document: Mapping[str, Any]) -> Seed:
    found = document["outcome"]
    values = {str(name): _finite(value) for name, value in found["values"].items()}
    curves = {str(name): [(_finite(x), _finite(y)) for x, y in points] for name, points in found["curves"].items()}
    return Seed(int(document["seed"]), _finite(document["seconds"]), Outcome(_finite(found["effect"]), values, curves))


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no number")
    return number
