"""A fuzzer of what was found of a claim, and of what is shown of it."""

from __future__ import annotations

import json
from pathlib import Path

from convolve.experiments.catalog import CLAIMS
from convolve.experiments.command import ClaimList, TriedClaim, render
from convolve.experiments.findings import published_finding, read_finding, verdict
from tests.fuzz.reader import put, register

_CLAIM = CLAIMS["initialization"]


def _seeds() -> list[bytes]:
    finding = published_finding(_CLAIM.name)
    assert finding
    return [json.dumps(finding.as_json()).encode()]


def _read_finding(content: bytes, folder: Path) -> None:
    put(folder, {"initialization.json": content})
    finding = read_finding(folder / "initialization.json")
    assert finding
    list(render(ClaimList((TriedClaim(_CLAIM, finding, verdict(_CLAIM, finding)),))))


register("claim", "experiments.findings", _seeds, _read_finding)
