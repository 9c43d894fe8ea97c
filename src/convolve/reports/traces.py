"""The pages of `convolve scratch`: a worked calculation with its animation, and a filtered photograph. They are
self-contained: nothing is fetched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from convolve.files import link_target, write_bytes
from convolve.from_scratch.filters import FilteredImage
from convolve.from_scratch.traces.trace import Cell, Step, Trace, format_number
from convolve.reports.assets import asset, environment, render_page, script_digest
from convolve.reports.thumbnails import thumbnail

_LONGEST_SIDE = 480


def write_trace(path: Path, trace: Trace) -> None:
    """Write the page of a trace. Raises `ConvolveError` when it cannot be written."""
    write_bytes(link_target(path), render_trace(trace).encode("utf-8", "replace"))


def write_images(path: Path, name: str, images: tuple[FilteredImage, ...]) -> None:
    """Write the page of the filtered photograph ``name``. Raises `ConvolveError` when it cannot be written."""
    write_bytes(link_target(path), render_images(name, images).encode("utf-8", "replace"))


def render_trace(trace: Trace) -> str:
    """The page's HTML: every step in tables, which its script plays over the grids where scripts may run."""
    grids = {grid.name: index for index, grid in enumerate(trace.grids)}

    def cell_id(cell: Cell) -> str:
        return f"{grids[cell[0]]}-{cell[1]}-{cell[2]}"

    def cells(step: Step) -> dict[str, str]:
        """The ids of a step's inputs, and those of its outputs with their values, for the script."""
        outputs = (f"{cell_id(cell)}={_minus_signs(format_number(value))}" for cell, value in step.outputs)
        return {"inputs": " ".join(map(cell_id, step.inputs)), "outputs": " ".join(outputs)}

    return _render_page("trace.html.j2", title=trace.title, trace=trace, cells=cells, script=asset("trace.js"))


def render_images(name: str, images: tuple[FilteredImage, ...]) -> str:
    """The page's HTML: the photograph ``name`` through each filter, with its kernel."""
    thumbnails = {image.name: thumbnail(image.image, _LONGEST_SIDE) for image in images}
    return _render_page("filters.html.j2", title=name, images=images, thumbnails=thumbnails, script="")


def _render_page(template: str, script: str, **values: Any) -> str:
    templates = environment({"minus_signs": _minus_signs, "number": lambda value: _minus_signs(format_number(value))})
    style = Markup(asset("report.css") + asset("scratch.css"))  # noqa: S704 - the package's own files
    code = Markup(script)  # noqa: S704 - the package's own file
    return render_page(templates, template, **values, script=code, digest=script_digest(script), style=style)


def _minus_signs(text: str) -> str:
    """Text with every hyphen as a minus sign."""
    return text.replace("-", "\N{MINUS SIGN}")
