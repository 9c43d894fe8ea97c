"""A page of explained images: heat over each, methods and classes side by side; nothing is fetched."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from convolve.files import write_bytes
from convolve.reports.assets import asset, environment, render_page
from convolve.reports.heat import Box
from convolve.reports.overlays import ramp_uri
from convolve.reports.report import percent

BYTES = 12_000_000
"""What all pictures of a page may take; images beyond that are left out, and the page says so."""


@dataclass(frozen=True)
class Heat:
    """One map of an image: its ``method``, its class, that class's place among those explained and its ``score``.

    ``layer`` is a data URI.
    """

    method: str
    class_name: str
    class_place: int
    score: float
    layer: str
    signed: bool
    box: Box | None = None


@dataclass(frozen=True)
class Picture:
    """One image; ``picture`` is a data URI, ``truth`` empty where it is not known, ``truths`` the true boxes.

    ``taken_for`` are words before the label. ``regions`` are data URIs of the pixels that are explained, class by
    class, empty for a class without any; there are none where the image is explained as a whole.
    """

    name: str
    picture: str
    label: str
    confidence: float
    truth: str
    maps: tuple[Heat, ...]
    truths: tuple[Box, ...] = ()
    taken_for: str = ""
    regions: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`right` or `wrong`; `unknown` where no true class is known."""
        if not self.truth:
            return "unknown"
        return "right" if self.label == self.truth else "wrong"

    @property
    def size(self) -> int:
        """Bytes that its pictures take on the page."""
        return len(self.picture) + sum(map(len, self.regions)) + sum(len(heat.layer) for heat in self.maps)


@dataclass(frozen=True)
class MethodRow:
    """A method on the page: its paper, what to beware of, and what was measured, by heading."""

    name: str
    title: str
    paper: str
    notes: tuple[str, ...]
    figures: Mapping[str, str]


@dataclass(frozen=True)
class Explanations:
    """Everything that the page shows.

    ``shape``: height and width of what the network sees; ``legend`` says what the methods' figures mean, ``broken`` why
    images were left out.
    """

    title: str
    subtitle: str
    shape: tuple[int, int]
    pictures: Sequence[Picture]
    methods: Sequence[MethodRow]
    legend: Sequence[str]
    broken: Sequence[str]
    made: str


def write_explanations(path: Path, explanations: Explanations) -> None:
    """Write the page, beside its place and renamed. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render_explanations(explanations).encode("utf-8", "replace"))


def render_explanations(explanations: Explanations) -> str:
    """The page's HTML; its script filters, fades and walks, and without it everything is there too."""
    script = asset("explanations.js")
    totals = np.cumsum([picture.size for picture in explanations.pictures])
    shown = explanations.pictures[: int(np.searchsorted(totals, BYTES, side="right"))]
    maps = [heat for picture in shown for heat in picture.maps]
    return render_page(
        _environment(),
        "explanations.html.j2",
        page=explanations,
        shown=shown,
        labels=sorted({picture.label for picture in shown}),
        truths=sorted({picture.truth for picture in shown} - {""}),
        methods=list(dict.fromkeys(heat.method for heat in maps)),
        headings=list(dict.fromkeys(name for row in explanations.methods for name in row.figures)),
        signs=sorted({heat.signed for heat in maps}),
        ramps={signed: ramp_uri(signed) for signed in (False, True)},
        boxed=any(heat.box for heat in maps),
        style=Markup(asset("report.css") + asset("explanations.css")),  # noqa: S704 - the package's own files
        script=Markup(script),  # noqa: S704 - the package's own file
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _edges(box: Box) -> str:
    left, top, right, bottom = (100 * edge for edge in box)
    return f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"


@functools.cache
def _environment() -> Environment:
    return environment({"percent": percent, "edges": _edges})
