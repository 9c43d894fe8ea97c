"""The page of explanations: complete, escaped, self-contained, bounded."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.errors import ConvolveError
from convolve.reports import explanations
from convolve.reports.explanations import Explanations, Heat, MethodRow, Picture, render_explanations
from convolve.reports.heat import palette
from convolve.reports.overlays import layer_uri
from convolve.reports.thumbnails import thumbnail
from tests.reports.test_page import Page


@pytest.fixture
def page() -> Explanations:
    heat = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    maps = tuple(
        Heat(method, name, place, 0.4, layer_uri(heat, signed), signed, (0.1, 0.2, 0.5, 1.0))
        for place, name in enumerate(("고양이", "dog"))
        for method, signed in (("cam", True), ("saliency", False))
    )
    photo = thumbnail(np.full((64, 96, 3), 90, np.uint8), 224)
    pictures = [
        Picture("a.jpg", photo, "dog", 0.9, "dog", maps, ((0.0, 0.0, 1.0, 0.5),)),
        Picture("b.jpg", photo, "고양이", 0.5, "dog", maps),
    ]
    rows = [MethodRow("cam", "Class activation map", "Zhou", ("Beware.",), {"Deletion": "0.1"})]
    return Explanations("title", "subtitle", (64, 96), pictures, rows, ("what it means",), ("c.jpg is empty",), "made")


def test_everything_stands_on_the_page(page: Explanations) -> None:
    found = Page(render_explanations(page))
    assert not found.open
    for words in (
        "title",
        "subtitle",
        "고양이",
        "Beware.",
        "c.jpg is empty",
        "What it means.",
        "but truly dog",
        "made",
    ):
        assert words in found.text, words
    cases = [case for case in found.all("article") if case.get("class") == "case"]
    assert [(case["data-label"], case["data-truth"], case["data-verdict"]) for case in cases] == [
        ("dog", "dog", "right"),
        ("고양이", "dog", "wrong"),
    ]
    assert [figure["data-method"] for figure in found.all("figure") if "data-method" in figure] == [
        "cam",
        "saliency",
    ] * 4
    assert {field["name"] for field in found.all("input")} == {"verdict", "method", "opacity", "boxes"}
    assert {field["name"] for field in found.all("select")} == {"truth", "label"}


def test_what_is_not_known_is_not_asked(page: Explanations) -> None:
    one = replace(page.pictures[0], truth="", maps=(replace(page.pictures[0].maps[0], box=None),))
    found = Page(render_explanations(replace(page, pictures=[one])))
    assert {field["name"] for field in found.all("input")} == {"opacity"}
    assert found.all("article")[0]["data-verdict"] == "unknown"


def test_nothing_is_fetched_and_only_its_own_script_may_run(page: Explanations) -> None:
    html = render_explanations(page)
    assert html == render_explanations(page)
    assert not re.search(r"(?:src|href)=\"(?!data:)|url\((?!data:)|@import|https?:|<link", html)
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert policy in html


def test_its_korean_needs_no_installed_font(page: Explanations) -> None:
    assert "@font-face" in render_explanations(page)
    latin = [replace(picture, label="cat", maps=()) for picture in page.pictures]
    assert "@font-face" not in render_explanations(replace(page, pictures=latin))


def test_names_are_text(page: Explanations) -> None:
    evil = "\"><script>alert(1)</script>'&"
    maps = tuple(replace(heat, class_name=evil, method=evil) for heat in page.pictures[0].maps)
    pictures = [replace(page.pictures[0], name=evil, label=evil, truth=evil, maps=maps)]
    row = MethodRow(evil, evil, evil, (evil,), {evil: evil})
    html = render_explanations(
        replace(page, title=evil, subtitle=evil, pictures=pictures, methods=[row], legend=(evil,), broken=(evil,))
    )
    assert html.count("<script>") == 1
    assert not Page(html).open


def test_it_is_bounded_and_says_what_it_left_out(page: Explanations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "BYTES", 20 * page.pictures[0].size)
    found = Page(render_explanations(replace(page, pictures=[page.pictures[0]] * 50)))
    assert len(found.all("article")) == 20
    assert "the first 20 of 50 images" in found.text


@pytest.mark.parametrize("signed", [True, False])
def test_a_layer_is_a_small_png_in_the_colors_of_heat(signed: bool) -> None:
    heat = np.random.default_rng(0).random((224, 168)).astype(np.float32)
    blob = base64.b64decode(layer_uri(heat, signed).partition(",")[2])
    read = np.asarray(Image.open(io.BytesIO(blob)).convert("RGBA"))
    assert read.shape == (112, 84, 4)
    assert {tuple(color) for color in read.reshape(-1, 4)} <= {tuple(color) for color in palette(signed)}
    flat = base64.b64decode(layer_uri(np.ones((4, 4), np.float32), signed).partition(",")[2])
    assert np.asarray(Image.open(io.BytesIO(flat)).convert("RGBA")).shape == (112, 112, 4)
    assert len(blob) < 12_000


def test_a_page_that_cannot_be_written_is_one_sentence(page: Explanations, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        explanations.write_explanations(tmp_path / "file" / "page.html", page)
