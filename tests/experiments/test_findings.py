"""What was found of a claim: its verdict, its file, and damaged files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats  # type: ignore[import-untyped]

from convolve.errors import ClaimError
from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.findings import Finding, Seed, file_of, read_finding, verdict, write_finding

CLAIM = Claim(
    number="0",
    name="example",
    words="예",
    sentence="An example.",
    method="Nothing is done.",
    effect="a number",
    unit="units",
    supported=1.0,
    refuted=0.0,
    measure=lambda _: Outcome(0.0, {}),
)


def finding(*effects: float) -> Finding:
    seeds = tuple(
        Seed(seed, 2.0, Outcome(effect, {"a": effect, "b": 1.0}, {"a": [(1.0, effect), (2.0, 0.5)]}))
        for seed, effect in enumerate(effects)
    )
    return Finding("example", False, "a processor", "2026-01-01", {"a": {"epochs": 1}}, seeds)


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        ((1.5, 1.6, 1.7), "supported"),
        ((1.0, 1.0, 1.0), "supported"),
        ((0.9, 1.5, 2.6), "undecided"),  # the mean is above the bound, its interval reaches below
        ((0.5, 0.5, 0.5), "undecided"),  # between the bounds
        ((0.0, 0.0, 0.0), "undecided"),
        ((-1.0, -1.1, -1.2), "refuted"),
        ((-0.1, -1.0, -2.5), "undecided"),
        ((5.0, 5.1), "undecided"),  # too few seeds
        ((5.0,), "undecided"),
    ],
)
def test_a_verdict_needs_the_whole_interval_beyond_a_bound(effects: tuple[float, ...], word: str) -> None:
    assert verdict(CLAIM, finding(*effects)).word == word


def test_the_interval_is_students() -> None:
    effects = (1.0, 2.0, 4.0)
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=stats.sem(effects))
    found = verdict(CLAIM, finding(*effects))
    assert found.mean == pytest.approx(7 / 3)
    assert found.half_width == pytest.approx((high - low) / 2)
    assert math.isinf(verdict(CLAIM, finding(1.0)).half_width)
    assert verdict(CLAIM, finding(1.0)).as_json()["half_width"] is None


def test_an_exact_outcome_needs_one_seed() -> None:
    exact = replace(CLAIM, exact=True)
    assert verdict(exact, finding(1.0)).word == "supported"
    assert verdict(exact, finding(-0.1)).word == "refuted"


def test_a_finding_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = file_of(tmp_path / "new", "example", quick=False)
    assert read_finding(path) is None
    write_finding(path, finding(1.0, 2.5))
    assert read_finding(path) == finding(1.0, 2.5)
    assert file_of(tmp_path, "example", quick=True) != file_of(tmp_path, "example", quick=False)


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"seeds": 1}', '{"seeds": [{}]}', "null", "no"])
def test_a_damaged_finding_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "example.json"
    path.write_text(damage)
    with pytest.raises(ClaimError, match=r"example\.json is damaged; delete it to try the claim again"):
        read_finding(path)


def test_no_part_of_a_finding_may_be_missing_or_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "example.json"
    whole = finding(1.0).as_json()
    for name in whole:
        path.write_text(json.dumps({key: value for key, value in whole.items() if key != name}))
        with pytest.raises(ClaimError):
            read_finding(path)
        path.write_text(json.dumps(whole | {name: {"x": 5}} if name in ("seeds",) else whole | {"seeds": [5]}))
        with pytest.raises(ClaimError):
            read_finding(path)
