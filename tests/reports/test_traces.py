"""The pages of `convolve scratch`: complete without their script, escaped, self-contained, reproducible."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

import convolve
from convolve.from_scratch.filters import apply_all
from convolve.from_scratch.traces.convolution import ConvolutionInputs, convolution_trace
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.traces.trace import Trace
from convolve.from_scratch.windows import Sliding
from convolve.reports.traces import render_images, render_trace
from convolve.verbs.scratch import WorkedCalculation
from tests.reports.test_page import Page

_DETECTION = {"iou", "nms", "average-precision", "yolo"}


@pytest.fixture
def trace() -> Trace:
    x, w = np.arange(12.0).reshape(1, 3, 4) - 5, np.array([[[[1.0, -1], [0, 2]]]])
    return convolution_trace(ConvolutionInputs(x, w, np.ones(1), Sliding(1, 1)), np.ones((1, 4, 5)))


def test_everything_is_there_without_the_script(trace: Trace) -> None:
    page = Page(render_trace(trace))
    assert not page.open
    for phase in trace.phases:
        assert phase.title in page.text
    for step in trace.steps:
        assert step.title in page.text
        assert step.equations[-1].replace("-", "\N{MINUS SIGN}") in page.text
    rows = [row for row in page.all("tr") if "data-inputs" in row]
    assert len(rows) == len(trace.steps)
    assert "hidden" in next(each for each in page.all("div") if each.get("class") == "controls")


def test_the_script_finds_the_cells_of_every_step_and_their_values(trace: Trace) -> None:
    page = Page(render_trace(trace))
    cells = {cell["data-cell"] for cell in page.all("td") if "data-cell" in cell}
    assert len(cells) == sum(len(grid.values) * len(grid.values[0]) for grid in trace.grids)
    names = [grid.name for grid in trace.grids]
    rows = [row for row in page.all("tr") if "data-inputs" in row]
    for row, step in zip(rows, trace.steps, strict=True):
        inputs = [f"{names.index(name)}-{i}-{j}" for name, i, j in step.inputs]
        assert str(row["data-inputs"]).split() == inputs
        outputs = dict(pair.split("=") for pair in str(row["data-outputs"]).split())
        assert set(inputs) | set(outputs) <= cells
        values = {f"{names.index(name)}-{i}-{j}": value for (name, i, j), value in step.outputs}
        assert {cell: float(text.replace("\N{MINUS SIGN}", "-")) for cell, text in outputs.items()} == values


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_has_its_page(name: str) -> None:
    result = convolve.scratch(example=name, progress=False)
    assert isinstance(result, WorkedCalculation)
    trace = result.trace
    page = Page(render_trace(trace))
    assert not page.open
    cells = {cell["data-cell"] for cell in page.all("td") if "data-cell" in cell}
    assert len(cells) == sum(len(grid.values) * len(grid.values[0]) for grid in trace.grids)
    line_breaks = [each for each in page.all("div") if each.get("class") == "line-break"]
    backward = any(phase.title.startswith("Backward") for phase in trace.phases)
    assert len(line_breaks) == backward  # the backward pass begins a new line


@pytest.mark.parametrize("name", [name for name in EXAMPLES if EXAMPLES[name].options["operation"] in _DETECTION])
def test_the_drawing_is_complete_without_the_script(name: str) -> None:
    result = convolve.scratch(example=name, progress=False)
    assert isinstance(result, WorkedCalculation)
    trace = result.trace
    assert trace.drawing
    page = Page(render_trace(trace))
    final = {name: mark for step in trace.steps for name, mark in step.marks}
    marks = {each["data-shape"]: each["data-mark"] for each in (*page.all("g"), *page.all("text"))}
    for index, shape in enumerate(trace.drawing.shapes):
        mark = final.get(shape.name, "always")
        assert marks[str(index)] == ("hidden" if mark == "brief" else mark)
        assert shape.label.replace("-", "\N{MINUS SIGN}") in page.text
    width, height = map(int, str(page.all("svg")[0]["viewbox"]).split()[2:])
    for label in page.all("text"):
        assert 0 <= float(str(label["x"])) <= width
        assert 0 <= float(str(label["y"])) <= height
        shape = trace.drawing.shapes[int(str(label["data-shape"]))]
        if shape.kind != "text":  # those are around their point
            assert float(str(label["x"])) + 8 * len(shape.label) <= width


def test_a_page_without_a_drawing_has_no_figure_for_it(trace: Trace) -> None:
    assert Page(render_trace(trace)).all("svg")
    result = convolve.scratch(example="affine", progress=False)
    assert isinstance(result, WorkedCalculation)
    assert not result.trace.drawing
    assert not Page(render_trace(result.trace)).all("svg")
    assert "data-marks=" not in render_trace(result.trace)


def test_it_fetches_nothing_and_runs_its_own_script_alone(trace: Trace) -> None:
    html = render_trace(trace)
    assert html == render_trace(trace)
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|https?:", html)
    assert len(html) < 120_000


def test_its_korean_needs_no_installed_font(trace: Trace) -> None:
    assert "font-src data:;" in render_trace(trace)
    assert "@font-face" not in render_trace(trace)
    assert "@font-face" in render_trace(replace(trace, title="합성곱"))


def test_text_is_escaped(trace: Trace) -> None:
    hostile = replace(trace, title="<img src=x onerror=alert(1)>")
    assert not Page(render_trace(hostile)).all("img")
    images = apply_all(np.zeros((9, 9, 3), np.uint8))
    page = Page(render_images("<script>alert(1)</script>.png", images))
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == len(images)
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
