"""The figures of the claims, from what was found."""

from __future__ import annotations

from functools import partial

from convolve.experiments.catalog import CLAIMS
from convolve.experiments.figure import claim_figure
from convolve.experiments.findings import published_finding

FIGURES = {
    f"claim_{name}.svg": partial(claim_figure, claim, finding)
    for name, claim in CLAIMS.items()
    if (finding := published_finding(name))
}
