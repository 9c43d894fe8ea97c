"""The page of a worked calculation in a browser: its script plays the steps over the grids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import convolve
from convolve.from_scratch.traces.convolution import ConvolutionInputs, convolution_trace
from convolve.from_scratch.traces.suppression import SuppressionInputs, suppression_trace
from convolve.from_scratch.traces.trace import Trace, format_number
from convolve.from_scratch.windows import Sliding
from convolve.reports.traces import write_trace
from convolve.verbs.scratch import WorkedCalculation
from tests.browser import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def trace() -> Trace:
    x, w = np.arange(12.0).reshape(1, 3, 4) - 5, np.array([[[[1.0, -1], [0, 2]]]])
    return convolution_trace(ConvolutionInputs(x, w, np.ones(1), Sliding(1, 1)), np.ones((1, 4, 5)))


@pytest.fixture
def page(open_page: OpenPage, trace: Trace, tmp_path: Path) -> Page:
    write_trace(tmp_path / "trace.html", trace)
    return open_page(tmp_path / "trace.html")


def filled(page: Page) -> dict[str, str]:
    """The text of every cell of a result that is not empty, by grid, row and column."""
    cells = page.locator(".result td").evaluate_all("cells => cells.map(cell => [cell.dataset.cell, cell.textContent])")
    return {cell: text for cell, text in cells if text}


def expected(trace: Trace, steps: int) -> dict[str, str]:
    """What the first steps write."""
    grids = {grid.name: index for index, grid in enumerate(trace.grids)}
    return {
        f"{grids[cell[0]]}-{cell[1]}-{cell[2]}": format_number(value).replace("-", "\N{MINUS SIGN}")
        for step in trace.steps[:steps]
        for cell, value in step.outputs
    }


def test_a_korean_page_plays_in_korean(open_page: OpenPage, trace: Trace, tmp_path: Path) -> None:
    write_trace(tmp_path / "korean.html", trace, "ko")
    page = open_page(tmp_path / "korean.html")
    page.get_by_role("button", name="다음 단계").click()
    assert page.locator(".controls output").text_content() == f"2 / {len(trace.steps)}"
    assert str(page.locator(".current-step h3").text_content()).endswith("순전파: 출력 y")
    page.get_by_role("button", name="재생").click()
    assert page.locator(".play").get_attribute("aria-label") == "멈춤"
    page.get_by_role("button", name="멈춤").click()
    assert page.locator(".play").get_attribute("aria-label") == "재생"


def assert_step(page: Page, trace: Trace, number: int) -> None:
    """The page is at a step, counted from 1: its heading, equations, highlighted cells and the results so far."""
    step = trace.steps[number - 1]
    assert page.locator(".controls output").text_content() == f"{number} of {len(trace.steps)}"
    assert str(page.locator(".current-step h3").text_content()).startswith(step.title)
    equations = page.locator(".current-step .equation").all_text_contents()
    assert [text.replace("\N{MINUS SIGN}", "-") for text in equations] == list(step.equations)
    assert page.locator("tr.current th").all_text_contents() == [step.title]
    assert page.locator("td.input").count() == len(set(step.inputs))
    assert page.locator("td.output").count() == len(step.outputs)
    if number < len(trace.steps):
        assert filled(page) == expected(trace, number)


def test_the_first_step_is_shown_with_its_controls(page: Page, trace: Trace) -> None:
    assert page.locator(".controls").is_visible()
    assert page.locator(".current-step").is_visible()
    assert_step(page, trace, 1)


def test_buttons_keys_and_slider_lead_to_other_steps(page: Page, trace: Trace) -> None:
    page.locator(".controls .next").click()
    assert_step(page, trace, 2)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert_step(page, trace, 4)
    page.locator(".controls .previous").click()
    assert_step(page, trace, 3)
    page.keyboard.press("ArrowLeft")
    assert_step(page, trace, 2)
    page.locator(".controls input").fill("7")
    assert_step(page, trace, 7)
    assert page.locator(".controls .play").get_attribute("aria-label") == "Play"


def test_a_row_and_a_result_lead_to_their_step(page: Page, trace: Trace) -> None:
    last = len(trace.steps)
    page.locator("tr[data-inputs]").nth(last - 1).locator("th").click()
    assert_step(page, trace, last)
    assert len(filled(page)) == page.locator(".result td").count()
    cell = next(iter(expected(trace, 1)))
    page.locator(f'td[data-cell="{cell}"]').click()
    assert_step(page, trace, 1)


def test_it_plays_until_it_is_stopped(page: Page, trace: Trace) -> None:
    page.locator(".controls .play").click()
    assert page.locator(".controls .play").get_attribute("aria-label") == "Pause"
    page.locator(".controls output", has_text="2 of").wait_for()
    page.locator(".controls .play").click()
    assert page.locator(".controls .play").get_attribute("aria-label") == "Play"
    assert_step(page, trace, 2)


@pytest.fixture(scope="module")
def suppression() -> Trace:
    boxes = np.array([[0.0, 0, 10, 10], [1, 1, 11, 11], [0, 20, 9, 30], [2, 0, 12, 10]])
    scores, classes = np.array([0.9, 0.8, 0.7, 0.1]), np.ones(4, np.int64)
    return suppression_trace(SuppressionInputs(boxes, scores, classes, 0.5, 0.5))


def visible(page: Page) -> dict[str, str]:
    """What is made of each shape that is visible, by its number."""
    shapes = page.locator("g[data-shape]").evaluate_all(
        "all => all.filter((one) => getComputedStyle(one).display !== 'none').map((one) => Object.values(one.dataset))"
    )
    return dict(shapes)


def test_a_drawing_is_played(open_page: OpenPage, suppression: Trace, tmp_path: Path) -> None:
    write_trace(tmp_path / "nms.html", suppression)
    page = open_page(tmp_path / "nms.html")
    assert suppression.drawing
    names = {str(index): shape.name for index, shape in enumerate(suppression.drawing.shapes)}

    def drawn() -> dict[str, str]:
        return {names[index]: mark for index, mark in visible(page).items()}

    assert drawn() == {"box 1": "drawn"}
    page.locator(".controls .next").click()
    assert drawn() == {"box 1": "drawn", "box 2": "drawn"}
    page.locator(".controls .previous").click()
    assert drawn() == {"box 1": "drawn"}
    seen = []
    for number, step in enumerate(suppression.steps, 1):
        page.locator(".controls input").fill(str(number))
        seen.append((step.title, drawn()))
        current = page.locator("g.current").evaluate_all("all => all.map((one) => one.dataset.shape)")
        assert {names[index] for index in current} == {name for name, _ in step.marks}
        labels = page.locator("svg text:visible").all_text_contents()
        assert len(labels) == sum(name.count("box") == 1 for name in drawn())
    four = {"box 1": "drawn", "box 2": "drawn", "box 3": "drawn", "box 4": "drawn"}
    dropped = {**four, "box 4": "removed"}
    one = {**dropped, "box 1": "selected"}
    two = {**one, "box 2": "removed"}
    assert seen[3:] == [
        ("A[4,1]", four),
        *[(f"box {number}", four) for number in (1, 2, 3)],
        ("box 4", dropped),
        ("class 1", dropped),
        ("box 1", one),
        ("box 1, box 2", {"box 1 & box 2": "brief", **two}),
        ("box 1, box 3", two),
        ("box 3", {**two, "box 3": "selected"}),
    ]
    page.locator(".controls .play").click()  # from the end: it begins again
    page.locator(".controls output", has_text="2 of").wait_for()
    assert drawn() == {"box 1": "drawn", "box 2": "drawn"}


def test_without_scripts_the_drawing_shows_the_end(chromium: Browser, suppression: Trace, tmp_path: Path) -> None:
    write_trace(tmp_path / "nms.html", suppression)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "nms.html").as_uri())
    assert page.locator(".controls").is_hidden()
    assert page.locator('g[data-mark="selected"]:visible').count() == 2
    assert page.locator('g[data-mark="removed"]:visible').count() == 2
    assert page.locator('g[data-mark="hidden"]').is_hidden()
    assert page.locator("tr[data-inputs]:visible").count() == len(suppression.steps)
    context.close()


@pytest.mark.parametrize(
    "name",
    [
        "layer-stack", "convolution-backward", "transposed-padding", "gap", "batchnorm-graph", "bowl", "ten-layers",
        "cam", "confusion",
    ],
)  # fmt: skip
def test_worked_examples_are_played_to_their_end(name: str, open_page: OpenPage, tmp_path: Path) -> None:
    result = convolve.scratch(example=name, page=tmp_path / "page.html", progress=False)
    assert isinstance(result, WorkedCalculation)
    page, last = open_page(tmp_path / "page.html"), len(result.trace.steps)
    assert_step(page, result.trace, 1)
    page.locator(".controls input").fill(str(last // 2))
    assert_step(page, result.trace, last // 2)
    assert set(visible(page)) >= {
        str(index)
        for index, shape in enumerate(result.trace.drawing.shapes if result.trace.drawing else ())
        if shape.name in {name for name, _ in result.trace.steps[last // 2 - 1].marks} and shape.kind != "text"
    }
    page.locator(".controls input").fill(str(last))
    assert_step(page, result.trace, last)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1280
