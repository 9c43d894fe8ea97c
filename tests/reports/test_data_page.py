"""The page of a dataset in a browser: what the doctor found, duplicates side by side, and all of it in one file."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.errors import DataError, OptionError
from convolve.fonts import FAMILY
from tests.browser import OpenPage
from tests.datasets.synthetic import random_image
from tests.reports.korean import english_texts
from tests.tasks.segment.small import folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

COUNTS = {"장미": 30, "<b>tulip": 20, "daisy": 10}


def photo(path: Path, seed: int, brighter: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random_image(90, 120, seed=seed).astype(int) + brighter
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes in three splits with a leak, a wrong label, a near duplicate, a broken file and a video."""
    root, seed = tmp_path_factory.mktemp("data") / "꽃", 0
    for name, count in COUNTS.items():
        for number in range(count):
            seed += 1
            photo(root / ("train", "val", "test")[number % 3] / name / f"{seed}.png", seed)
    shutil.copy(root / "train/장미/1.png", root / "test/장미/leak.png")
    shutil.copy(root / "train/장미/4.png", root / "train/daisy/liar.png")
    photo(root / "train/daisy/bright.png", 60, brighter=8)
    (root / "train/daisy/broken.png").write_bytes(b"no image")
    (root / "film.mp4").write_bytes(b"film")
    page = root.parent / "page.html"
    found = convolve.data(root, report=page, fix=root.parent / "clean.csv", progress=False)
    assert found.as_json()["report"] == str(page)
    return page


@pytest.fixture
def page(open_page: OpenPage, report: Path) -> Page:
    return open_page(report)


def headline(page: Page, label: str) -> str:
    value = page.locator(f".headlines div:has(dt:text-is('{label}')) dd").first.text_content()
    return str(value)


def test_the_sections_are_in_order(page: Page) -> None:
    titles = page.locator("main h2").all_text_contents()
    assert titles == [
        "What to do first",
        "Classes",
        "Images",
        "Duplicates and leaks",
        "Left out",
        "Cleaned table",
        "What a network sees",
    ]
    assert page.locator("nav a").all_text_contents() == titles
    found = {name: headline(page, name) for name in ("Images", "Duplicates", "Exact leaks", "Unreadable")}
    assert found == {"Images": "63", "Duplicates": "6", "Exact leaks": "1", "Unreadable": "1"}


def test_the_classes_are_counted_and_sorted_by_a_click(page: Page) -> None:
    rows = page.locator("#classes tbody tr")
    cells = [row.locator("th, td").all_text_contents() for row in rows.all()]
    assert sorted(cells) == [
        ["<b>tulip", "20", "7", "7", "6"],
        ["daisy", "12", "6", "3", "3"],
        ["장미", "31", "10", "10", "11"],
    ]
    page.locator("#classes thead button", has_text="Images").click()
    assert rows.locator("th").all_text_contents() == ["daisy", "<b>tulip", "장미"]
    assert page.locator("#classes tfoot td").all_text_contents() == ["63", "23", "20", "20"]


def test_duplicates_are_side_by_side_with_their_images(page: Page) -> None:
    groups = page.locator("#duplicates .group")
    assert groups.count() == 3
    captions = groups.locator("figcaption").all_inner_texts()
    assert "Leak: in train and test" in captions[0]
    assert "Different labels" in captions[1]
    assert "Leak" not in captions[1]
    for group in groups.all():
        images = group.locator("img")
        sizes = images.evaluate_all("all => all.map(image => [image.naturalWidth, image.naturalHeight])")
        assert sizes == [[120, 90]] * 2
        boxes = [image.bounding_box() for image in images.all()]
        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    assert sorted(groups.nth(1).locator(".member b").all_text_contents()) == ["daisy", "장미"]
    assert sorted(groups.first.locator(".file").all_text_contents()) == ["test/장미/leak.png", "train/장미/1.png"]


def test_what_is_left_out_is_named(page: Page) -> None:
    text = page.locator("#left-out").inner_text()
    assert "film.mp4 left out" in text
    assert "train/daisy/broken.png is not an image" in text
    cleaned = page.locator("#cleaned").inner_text()
    assert "exact copies with different labels" in cleaned
    assert "clean.csv" in cleaned
    assert "Of exact copies with one label one stays" in cleaned


def test_the_contact_sheet_is_shown_whole(page: Page) -> None:
    sheet = page.locator("#sheet img")
    assert sheet.evaluate("image => image.naturalWidth") > 1000
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_narrow_page_does_not_scroll_sideways(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_hangul_of_class_names_is_embedded(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert re.search(rf"@font-face[^}}]*{FAMILY}", html)
    assert "<b>tulip" not in html


def test_masks_have_a_page_too(open_page: OpenPage, tmp_path: Path) -> None:
    convolve.data(folder(tmp_path / "data", 8), report=tmp_path / "page.html", size=32, progress=False)
    page = open_page(tmp_path / "page.html")
    assert page.locator("#classes thead button").all_text_contents()[-1] == "Pixels"
    assert page.locator("#sheet img").count() == 1


def test_a_page_is_called_html(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv must be called \.html"):
        convolve.data("digits", report=tmp_path / "labels.csv", progress=False)


def test_the_korean_page_has_no_english_but_names(tmp_path: Path) -> None:
    data, written = folder(tmp_path / "data", 14), tmp_path / "page.html"
    convolve.data(data, report=written, language="ko", progress=False)
    html = written.read_text(encoding="utf-8")
    assert english_texts(html, (str(data), "data", "masks", "bright disc", "dark disc", "ground")) == []
    assert "<h2>신경망이 보는 것</h2>" in html
    with pytest.raises(OptionError, match="language is that of the page; add --report"):
        convolve.data(data, language="ko", progress=False)
