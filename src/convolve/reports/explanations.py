"""A page of explained images: cards with the heatmaps of each, methods side by side; nothing is fetched."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from convolve.choices import Language
from convolve.files import write_bytes
from convolve.reports.assets import asset, environment, render_page, script_digest
from convolve.reports.heatmaps import ramp_uri
from convolve.reports.image_card import ImageTile
from convolve.reports.report import percent

MAX_BYTES = 12_000_000
"""What all images of a page may take; those beyond are left out, and the page says so."""
MAX_COLUMNS = 6
"""Tiles in a row of a card; further methods begin another row."""


@dataclass(frozen=True)
class ExplainedImage:
    """One image, as a data URI, with its ``first`` tile and a row of tiles for each name that is explained.

    ``ground_truth`` is empty where it is unknown, ``confidence`` None where the task has none, and ``relation`` the
    words before the prediction, such as `mostly`.
    """

    name: str
    image: str
    prediction: str
    confidence: float | None
    ground_truth: str
    first: ImageTile
    rows: tuple[tuple[ImageTile, ...], ...]
    relation: str = ""

    @property
    def verdict(self) -> Literal["right", "wrong", "unknown"]:
        """Whether the prediction is the ground truth."""
        if not self.ground_truth:
            return "unknown"
        return "right" if self.prediction == self.ground_truth else "wrong"

    @property
    def tiles(self) -> tuple[ImageTile, ...]:
        """Those of all rows."""
        return tuple(tile for row in self.rows for tile in row)

    @property
    def size(self) -> int:
        """Bytes that its images take on the page."""
        return len(self.image) + sum(tile.size for tile in self.tiles)


@dataclass(frozen=True)
class MethodRow:
    """A method on the page: its paper, warnings, and what was measured of it, by heading."""

    name: str
    title: str
    paper: str
    signed: bool
    warnings: tuple[str, ...]
    measurements: Mapping[str, str]


@dataclass(frozen=True)
class Explanations:
    """All that the page shows.

    ``shape``: height and width of the network's input; ``legend`` explains the measurements, ``errors`` why images were
    left out.
    """

    title: str
    subtitle: str
    shape: tuple[int, int]
    images: Sequence[ExplainedImage]
    methods: Sequence[MethodRow]
    legend: Sequence[str]
    errors: Sequence[str]
    footer: str


def write_explanations(path: Path, explanations: Explanations, language: Language = "en") -> None:
    """Write the page under a temporary name and rename it. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render_explanations(explanations, language).encode("utf-8", "replace"))


def render_explanations(explanations: Explanations, language: Language = "en") -> str:
    """The page's HTML, in a language. Its script filters and fades; without it everything is visible."""
    script = asset("explanations.js")
    totals = np.cumsum([image.size for image in explanations.images])
    images = explanations.images[: int(np.searchsorted(totals, MAX_BYTES, side="right"))]
    style = asset("report.css") + asset("image_card.css") + asset("explanations.css")
    return render_page(
        _environment(),
        "explanations.html.j2",
        language,
        page=explanations,
        images=images,
        predictions=sorted({image.prediction for image in images}),
        ground_truths=sorted({image.ground_truth for image in images} - {""}),
        columns=min(MAX_COLUMNS, 1 + max((len(row) for image in images for row in image.rows), default=0)),
        headings=list(dict.fromkeys(name for row in explanations.methods for name in row.measurements)),
        signs=sorted({row.signed for row in explanations.methods}),
        ramps={signed: ramp_uri(signed) for signed in (False, True)},
        found=any(tile.found for image in images for tile in image.tiles),
        style=Markup(style),  # noqa: S704 - the package's own files
        script=Markup(script),  # noqa: S704 - the package's own file
        digest=script_digest(script),
    )


@functools.cache
def _environment() -> Environment:
    return environment({"percent": percent})
