"""The page of explanations: complete, escaped, self-contained, bounded; and what its script offers works."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from convolve.errors import ConvolveError
from convolve.reports import explanations
from convolve.reports.explanations import ExplainedImage, Explanations, MethodRow, render_explanations
from convolve.reports.heatmaps import heatmap_uri, region_uri
from convolve.reports.image_card import ImageTile
from convolve.reports.thumbnails import thumbnail
from tests.browser import OpenPage
from tests.reports.korean import english_texts
from tests.reports.test_page import Page

if TYPE_CHECKING:
    from playwright.sync_api import Page as BrowserPage

METHODS = ("cam", "saliency", "occlusion")
Open = Callable[[Explanations], "BrowserPage"]


@pytest.fixture
def page() -> Explanations:
    """Three images: right, wrong and of another class; two classes by three methods each."""
    attribution = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    photo = thumbnail(np.full((64, 96, 3), 90, np.uint8), 224)
    rows = tuple(
        tuple(
            ImageTile(
                f"{method} for {name}",
                name,
                method,
                heatmap_uri(attribution, signed=method == "cam"),
                found=(0.1, 0.2, 0.5, 1.0),
                method=method,
            )
            for method in METHODS
        )
        for name in ("고양이", "dog")
    )
    first = ImageTile("the network's input", "input", ground_truth=((0.0, 0.0, 1.0, 0.5),))
    images = [
        ExplainedImage("a.jpg", photo, "dog", 0.9, "dog", first, rows),
        ExplainedImage("b.jpg", photo, "고양이", 0.5, "dog", first, rows),
        ExplainedImage("c.jpg", photo, "고양이", 0.7, "고양이", first, rows),
    ]
    methods = [
        MethodRow("cam", "Class activation map", "Zhou", True, ("Beware.",), {"Deletion": "0.1"}),
        *(MethodRow(name, name.capitalize(), "a paper", False, (), {}) for name in METHODS[1:]),
    ]
    return Explanations(
        "title", "subtitle", (64, 96), images, methods, ("what it means",), ("d.jpg is empty",), "footer"
    )


def test_the_korean_page_has_no_english_but_names(page: Explanations) -> None:
    html = render_explanations(page, "ko")
    ours = ("title", "subtitle", "what it means", "What it means", "d.jpg is empty", "footer", "Beware", "input")
    assert english_texts(html, (*ours, *METHODS, "the network's", " for ", "dog", ".jpg")) == []
    assert '<option translate="no">dog</option>' in html
    assert 'data-text="이미지 #/#장"' in html


def test_the_page_is_complete(page: Explanations) -> None:
    html = Page(render_explanations(page))
    assert not html.open
    for words in (
        *("title", "subtitle", "고양이", "Beware.", "d.jpg is empty", "What it means.", "ground truth dog"),
        *("footer", "90.0", "a.jpg"),
    ):
        assert words in html.text, words
    cards = [figure for figure in html.all("figure") if figure.get("class") == "card"]
    assert [(card["data-prediction"], card["data-ground-truth"], card["data-verdict"]) for card in cards] == [
        ("dog", "dog", "right"),
        ("고양이", "dog", "wrong"),
        ("고양이", "고양이", "right"),
    ]
    assert [tile["data-method"] for tile in html.all("div") if "data-method" in tile] == list(METHODS) * 6
    assert {field["name"] for field in html.all("input")} == {"verdict", "method", "opacity", "boxes"}
    assert {field["name"] for field in html.all("select")} == {"groundTruth", "prediction"}


def test_what_is_unknown_has_no_filter(page: Explanations) -> None:
    first = ImageTile("the network's input")
    one = replace(page.images[0], ground_truth="", first=first, rows=((ImageTile("cam", method="cam"),),))
    html = Page(render_explanations(replace(page, images=[one], methods=page.methods[:1])))
    assert {field["name"] for field in html.all("input")} == {"opacity"}
    assert [figure["data-verdict"] for figure in html.all("figure")] == ["unknown"]


def test_a_prediction_without_a_confidence_is_shown_alone(page: Explanations) -> None:
    one = replace(page.images[0], ground_truth="", confidence=None, prediction="0.3, 0.5", relation="about")
    html = render_explanations(replace(page, images=[one]))
    assert re.search(r'<span>about\s+<b translate="no">0.3, 0.5</b></span>', html)


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
    latin = [replace(image, prediction="cat", ground_truth="dog", rows=()) for image in page.images]
    assert "@font-face" not in render_explanations(replace(page, images=latin))


def test_names_are_escaped(page: Explanations) -> None:
    evil = "\"><script>alert(1)</script>'&"
    row = (ImageTile(evil, evil, evil, page.images[0].tiles[0].heatmap, method=evil),)
    images = [replace(page.images[0], name=evil, prediction=evil, ground_truth=evil, rows=(row,))]
    methods = [MethodRow(evil, evil, evil, False, (evil,), {evil: evil})]
    html = render_explanations(
        replace(page, title=evil, subtitle=evil, images=images, methods=methods, legend=(evil,), errors=(evil,))
    )
    assert html.count("<script>") == 1
    assert not Page(html).open


def test_it_is_bounded_and_says_what_it_left_out(page: Explanations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanations, "MAX_BYTES", 20 * page.images[0].size)
    html = Page(render_explanations(replace(page, images=[page.images[0]] * 50)))
    assert len(html.all("figure")) == 20
    assert "the first 20 of 50 images" in html.text


def test_a_page_that_cannot_be_written_is_one_sentence(page: Explanations, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        explanations.write_explanations(tmp_path / "file" / "page.html", page)


@pytest.fixture
def opened(open_page: OpenPage, tmp_path: Path) -> Open:
    """Renders explanations and opens them in a browser."""

    def render_and_open(page: Explanations) -> BrowserPage:
        explanations.write_explanations(tmp_path / "explanations.html", page)
        return open_page(tmp_path / "explanations.html")

    return render_and_open


def _names(html: BrowserPage) -> list[str]:
    """The names of the images that a reader sees."""
    return [card.locator(".file").inner_text() for card in html.locator(".card").all() if card.is_visible()]


def test_filters_leave_the_images_that_match(page: Explanations, opened: Open) -> None:
    html = opened(page)
    assert _names(html) == ["a.jpg", "b.jpg", "c.jpg"]
    html.get_by_label("wrong", exact=True).check()
    assert _names(html) == ["b.jpg"]
    assert html.locator("output").inner_text() == "1 of 3 images"
    html.get_by_label("all", exact=True).check()
    html.get_by_label("ground truth").select_option("dog")
    assert _names(html) == ["a.jpg", "b.jpg"]
    html.get_by_label("predicted").select_option("고양이")
    assert _names(html) == ["b.jpg"]
    assert not html.get_by_text("No image matches").is_visible()
    html.get_by_label("right", exact=True).check()
    assert _names(html) == []
    assert html.get_by_text("No image matches").is_visible()


def test_methods_are_hidden_and_the_images_move_up(page: Explanations, opened: Open) -> None:
    html = opened(page)
    tiles = html.locator(".card").first.locator(".tile[data-method]")
    assert [tile.get_attribute("data-method") for tile in tiles.all() if tile.is_visible()] == [*METHODS, *METHODS]
    assert _cards_in_first_row(html) == 2
    html.get_by_role("checkbox", name="saliency").uncheck()
    html.get_by_role("checkbox", name="occlusion").uncheck()
    assert [tile.get_attribute("data-method") for tile in tiles.all() if tile.is_visible()] == ["cam", "cam"]
    assert _cards_in_first_row(html) == 3


def _cards_in_first_row(html: BrowserPage) -> int:
    boxes = [box for card in html.locator(".card").all() if (box := card.bounding_box())]
    return sum(box["y"] == boxes[0]["y"] for box in boxes)


def test_the_heatmap_fades_by_slider_and_key(page: Explanations, opened: Open) -> None:
    html = opened(page)
    layer = html.locator(".heatmap").first

    def opacity() -> float:
        return float(layer.evaluate("element => getComputedStyle(element).opacity"))

    assert opacity() == 0.75
    html.get_by_label("heatmap opacity").fill("30")
    assert opacity() == pytest.approx(0.3)
    html.locator("h1").click()
    html.keyboard.press("h")
    assert opacity() == 0
    html.keyboard.press("h")
    assert opacity() == pytest.approx(0.3)


def test_boxes_can_be_hidden(page: Explanations, opened: Open) -> None:
    html = opened(page)
    found, given = html.locator(".card .box.found").first, html.locator(".card .box.given").first
    assert found.is_visible()
    html.get_by_label("boxes").uncheck()
    assert not found.is_visible()
    assert given.is_visible()


def test_arrows_move_through_the_visible_images(page: Explanations, opened: Open) -> None:
    html = opened(page)
    html.get_by_label("ground truth").select_option("dog")
    html.locator("h1").click()
    focused = html.locator(".card:focus .file")
    for key, name in (
        ("ArrowRight", "a.jpg"),
        ("ArrowRight", "b.jpg"),
        ("ArrowRight", "b.jpg"),
        ("ArrowLeft", "a.jpg"),
    ):
        html.keyboard.press(key)
        assert focused.inner_text() == name


@pytest.mark.parametrize(("width", "across"), [(1800, 5), (1000, 3), (390, 1)])
def test_cards_fill_the_width(width: int, across: int, page: Explanations, opened: Open) -> None:
    """Cards with one heatmap each, on a wide screen, a small one and a telephone."""
    few = [replace(image, rows=(image.rows[0][:1],)) for image in [page.images[0]] * 12]
    html = opened(replace(page, images=few))
    html.set_viewport_size({"width": width, "height": 800})
    boxes = [box for card in html.locator(".card").all() if (box := card.bounding_box())]
    first = [box for box in boxes if box["y"] == boxes[0]["y"]]
    assert len(first) == across
    assert first[-1]["x"] + first[-1]["width"] - first[0]["x"] > 0.85 * min(width, 1840) - 40
    assert html.evaluate("document.documentElement.scrollWidth") <= width


def test_a_region_and_its_heatmap_lie_exactly_over_the_image(page: Explanations, opened: Open) -> None:
    region = np.zeros((7, 7), dtype=bool)
    region[2:5, 1:3] = True
    tile = replace(page.images[0].tiles[0], region=region_uri(region, (200, 20, 20)))
    html = opened(replace(page, images=[replace(page.images[0], rows=((tile,),))]))
    photo = html.locator(".tile-row .photo").bounding_box()
    assert photo
    assert photo["width"] / photo["height"] == pytest.approx(96 / 64, rel=0.02)
    for layer in (".region", ".heatmap"):
        assert html.locator(layer).bounding_box() == photo
