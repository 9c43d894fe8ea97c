"""The page of the sums: whole without its script, escaped, self-contained, the same twice."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

import convolve
from convolve.from_scratch.photographs import versions
from convolve.from_scratch.steps.convolution import Convolution, convolution_walk
from convolve.from_scratch.steps.examples import EXAMPLES
from convolve.from_scratch.steps.values import Walk
from convolve.from_scratch.windows import Sliding
from convolve.reports.sums import render_versions, render_walk
from tests.reports.test_page import Page


@pytest.fixture
def walk() -> Walk:
    x, w = np.arange(12.0).reshape(1, 3, 4) - 5, np.array([[[[1.0, -1], [0, 2]]]])
    return convolution_walk(Convolution(x, w, np.ones(1), Sliding(1, 1)), np.ones((1, 4, 5)))


def test_everything_stands_there_without_the_script(walk: Walk) -> None:
    page = Page(render_walk(walk))
    assert not page.open
    for part in walk.parts:
        assert part.title in page.text
    for step in walk.steps:
        assert step.title in page.text
        assert step.sums[-1].replace("-", "\N{MINUS SIGN}") in page.text
    rows = [row for row in page.all("tr") if "data-read" in row]
    assert len(rows) == len(walk.steps)
    assert "hidden" in next(each for each in page.all("div") if each.get("class") == "controls")


def test_the_script_finds_every_cell_that_a_step_names(walk: Walk) -> None:
    page = Page(render_walk(walk))
    cells = {cell["data-cell"] for cell in page.all("td") if "data-cell" in cell}
    assert len(cells) == sum(len(grid.values) * len(grid.values[0]) for grid in walk.grids)
    for row in page.all("tr"):
        named = [pair.split("=")[0] for pair in (row.get("data-written") or "").split()]
        assert set((row.get("data-read") or "").split()) | set(named) <= cells


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_has_its_page(name: str) -> None:
    walk = convolve.scratch(example=name).walk
    page = Page(render_walk(walk))
    assert not page.open
    cells = {cell["data-cell"] for cell in page.all("td") if "data-cell" in cell}
    assert len(cells) == sum(len(grid.values) * len(grid.values[0]) for grid in walk.grids)
    turns = [each for each in page.all("div") if each.get("class") == "turn"]
    back = any(part.title.startswith("Backward") for part in walk.parts)
    assert len(turns) == back  # the way back stands on lines of its own


def test_it_fetches_nothing_and_runs_its_own_script_alone(walk: Walk) -> None:
    html = render_walk(walk)
    assert html == render_walk(walk)
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\(|@import|https?:", html)
    assert len(html) < 120_000


def test_its_korean_needs_no_installed_font(walk: Walk) -> None:
    assert "font-src data:;" in render_walk(walk)
    assert "@font-face" not in render_walk(walk)
    assert "@font-face" in render_walk(replace(walk, title="합성곱"))


def test_words_are_escaped(walk: Walk) -> None:
    hostile = replace(walk, title="<img src=x onerror=alert(1)>")
    assert not Page(render_walk(hostile)).all("img")
    found = versions(np.zeros((9, 9, 3), np.uint8))
    page = Page(render_versions("<script>alert(1)</script>.png", found))
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == len(found)
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
