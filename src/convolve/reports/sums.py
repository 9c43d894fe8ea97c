"""The pages of `convolve scratch`: the sums with their animation, and filtered photographs; nothing is fetched."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from convolve.files import write_bytes
from convolve.from_scratch.photographs import Version
from convolve.from_scratch.steps.values import Cell, Step, Walk
from convolve.from_scratch.steps.wording import number
from convolve.reports.assets import asset, environment, render_page
from convolve.reports.thumbnails import thumbnail

_SIDE = 480


def write_walk(path: Path, walk: Walk) -> None:
    """Write the walk's page, beside its place and renamed. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render_walk(walk).encode("utf-8", "replace"))


def write_versions(path: Path, name: str, versions: tuple[Version, ...]) -> None:
    """Write the page of a photograph's versions. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render_versions(name, versions).encode("utf-8", "replace"))


def render_walk(walk: Walk) -> str:
    """The page's HTML: every sum in tables, which its script plays back over the grids where scripts may run."""
    places = {grid.name: place for place, grid in enumerate(walk.grids)}

    def marked(step: Step) -> dict[str, str]:
        """What the script needs of a step: the cells read, and those written with what they then hold."""
        written = (f"{_place(cell, places)}={_typeset(number(value))}" for cell, value in step.written)
        return {"read": " ".join(_place(cell, places) for cell in step.read), "written": " ".join(written)}

    return _page("sums.html.j2", title=walk.title, walk=walk, marked=marked, script=asset("sums.js"))


def render_versions(name: str, versions: tuple[Version, ...]) -> str:
    """The page's HTML: each version of the photograph ``name``, its kernel beside it."""
    pictures = {version.name: thumbnail(version.picture, _SIDE) for version in versions}
    return _page("filters.html.j2", title=name, versions=versions, pictures=pictures, script="")


def _page(template: str, script: str, **values: Any) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = Markup(asset("report.css") + asset("sums.css"))  # noqa: S704 - the package's own files
    code = Markup(script)  # noqa: S704 - the package's own file
    return render_page(_environment(), template, **values, script=code, digest=digest, style=style)


def _place(cell: Cell, places: dict[str, int]) -> str:
    return f"{places[cell[0]]}-{cell[1]}-{cell[2]}"


def _typeset(text: str) -> str:
    """Text in which every hyphen is a minus."""
    return text.replace("-", "\N{MINUS SIGN}")


@functools.cache
def _environment() -> Environment:
    return environment({"typeset": _typeset, "number": lambda value: _typeset(number(value))})
