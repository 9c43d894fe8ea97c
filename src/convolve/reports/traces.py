"""The pages of `convolve scratch`: a worked calculation with its animation, and a filtered photograph. They are
self-contained: nothing is fetched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from convolve.choices import Language
from convolve.files import link_target, write_bytes
from convolve.from_scratch.filters import FilteredImage
from convolve.from_scratch.traces.trace import Cell, Drawing, Shape, Step, Trace, format_number
from convolve.reports.assets import asset, environment, render_page, script_digest
from convolve.reports.language import translate
from convolve.reports.thumbnails import thumbnail
from convolve.values import Pixels

_LONGEST_SIDE = 480
_LETTER = 8  # pixels of a label's letter, and of its line
_LINE = 20


@dataclass(frozen=True)
class DrawnShape:
    """A shape by its ``index``, in pixels of its figure: the ``points`` of its outline as SVG writes them, the first of
    them, where its ``label`` starts, which is never outside of the figure, and what the last step that marked it made
    of it; "always" if none did, "hidden" if it is visible only in its step.
    """

    index: int
    shape: Shape
    points: str
    start: tuple[float, float]
    label: tuple[float, float]
    final: str


def write_trace(path: Path, trace: Trace, language: Language = "en", photograph: Pixels | None = None) -> None:
    """Write the page of a trace. Raises `ConvolveError` when it cannot be written."""
    write_bytes(link_target(path), render_trace(trace, language, photograph).encode("utf-8", "replace"))


def write_images(path: Path, name: str, images: tuple[FilteredImage, ...], language: Language = "en") -> None:
    """Write the page of the filtered photograph ``name``. Raises `ConvolveError` when it cannot be written."""
    write_bytes(link_target(path), render_images(name, images, language).encode("utf-8", "replace"))


def render_trace(trace: Trace, language: Language = "en", photograph: Pixels | None = None) -> str:
    """The page's HTML: every step in tables, which its script plays over the grids where scripts may run; a drawing is
    laid over the photograph (H, W, 1 or 3) if there is one.
    """
    grids = {grid.name: index for index, grid in enumerate(trace.grids)}

    def cell_id(cell: Cell) -> str:
        return f"{grids[cell[0]]}-{cell[1]}-{cell[2]}"

    def cells(step: Step) -> dict[str, str]:
        """The ids of a step's inputs, and those of its outputs with their values, for the script."""
        outputs = (f"{cell_id(cell)}={_minus_signs(format_number(value))}" for cell, value in step.outputs)
        marks = (f"{shapes[name]}={mark}" for name, mark in step.marks)
        return {"inputs": " ".join(map(cell_id, step.inputs)), "outputs": " ".join(outputs), "marks": " ".join(marks)}

    drawing = trace.drawing
    shapes = {shape.name: index for index, shape in enumerate(drawing.shapes)} if drawing else {}
    values = {"trace": trace, "cells": cells, "shapes": _drawn_shapes(trace, drawing) if drawing else []}
    size = _drawing_size(drawing) if drawing else (0, 0)
    values["photograph"] = None if photograph is None else thumbnail(photograph, _LONGEST_SIDE)
    return _render_page("trace.html.j2", language, title=trace.title, **values, size=size, script=asset("trace.js"))


def _drawing_size(drawing: Drawing) -> tuple[int, int]:
    """Width and height in pixels."""
    left, top, right, bottom = drawing.extent
    scale = _LONGEST_SIDE / max(right - left, bottom - top)
    return round((right - left) * scale), round((bottom - top) * scale)


def _drawn_shapes(trace: Trace, drawing: Drawing) -> list[DrawnShape]:
    """The shapes of the trace's drawing in pixels, as they are after the last step."""
    left, top, right, bottom = drawing.extent
    scale = _LONGEST_SIDE / max(right - left, bottom - top)
    final = {name: mark for step in trace.steps for name, mark in step.marks}
    width, height = _drawing_size(drawing)
    drawn = []
    for index, shape in enumerate(drawing.shapes):
        points = [(round((x - left) * scale, 2), round((y - top) * scale, 2)) for x, y in shape.points]
        text = " ".join(f"{x:g},{y:g}" for x, y in points)
        label = points[0]
        if shape.kind != "text":
            longest = width - _LETTER * len(shape.label)
            label = (max(0, min(label[0], longest)), max(0, min(label[1], height - _LINE)))
        mark = final.get(shape.name, "always")
        drawn.append(DrawnShape(index, shape, text, points[0], label, "hidden" if mark == "brief" else mark))
    return drawn


def render_images(name: str, images: tuple[FilteredImage, ...], language: Language = "en") -> str:
    """The page's HTML: the photograph ``name`` through each filter, with its kernel."""
    thumbnails = {image.name: thumbnail(image.image, _LONGEST_SIDE) for image in images}
    return _render_page("filters.html.j2", language, title=name, images=images, thumbnails=thumbnails, script="")


def _render_page(template: str, language: Language, script: str, **values: Any) -> str:
    filters: dict[str, Callable[..., str]] = {
        "minus_signs": _minus_signs,
        "number": lambda value: _minus_signs(format_number(value)),
        "translated": functools.partial(translate, language=language),
    }
    templates = environment(filters)
    style = Markup(asset("report.css") + asset("scratch.css"))  # noqa: S704 - the package's own files
    code = Markup(script)  # noqa: S704 - the package's own file
    values |= {"language": language}
    return render_page(templates, template, **values, script=code, digest=script_digest(script), style=style)


def _minus_signs(text: str) -> str:
    """Text with every hyphen as a minus sign."""
    return text.replace("-", "\N{MINUS SIGN}")
