"""The page: complete, escaped, self-contained, the same twice."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from convolve.errors import ConvolveError, DataError
from convolve.fonts import FAMILY
from convolve.metrics.confusion import per_class, per_label
from convolve.reports.page import confused, percent, render, within, write_report
from convolve.reports.report import Classes, Example, Report, Training, sections
from tests.browser import OpenPage
from tests.reports.sample import epochs, named, report

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Elements by name, the text, and whether every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def labeled() -> Report:
    """Images that carry several labels; the last label never occurs."""
    random = np.random.default_rng(0)
    truth, predicted = random.random((50, 3)) < 0.5, random.random((50, 3)) < 0.5
    truth[:, 2] = predicted[:, 2] = False
    ranked = np.array([0.5, 0.75, np.nan])
    classes = Classes(("dog", "cat", "never"), per_label(truth, predicted), None, ranked, ranked)
    mistake = Example("a.jpg", "data:image/jpeg;base64,AAAA", (0, 1), (), 0.93)
    return replace(report(), classes=classes, examples=(), mistakes=(mistake,))


def test_everything_stands_on_the_page() -> None:
    page = Page(render(report()))
    assert not page.open
    for words in ("lenet5 on digits", "on 800 images", "fits the memory", "Two images stand in both", "convolve 0.1.0"):
        assert words in page.text
    matrix = report().classes.matrix
    assert matrix is not None
    buttons = [button for button in page.all("button") if "style" in button]
    assert len(buttons) == np.count_nonzero(matrix)
    assert [attributes["id"] for attributes in page.all("section") if "id" in attributes] == [
        *("confusion", "mistakes", "classes", "calibration", "training", "data", "recipe", "machine")
    ]
    assert len(page.all("svg")) == 4


def test_every_cell_with_an_image_can_open_one() -> None:
    page = Page(render(report()))
    pictured = {figure["data-cell"] for figure in page.all("figure") if "data-cell" in figure}
    assert pictured == {button["data-cell"] for button in page.all("button") if "data-cell" in button}
    counts = Counter(figure["data-cell"] for figure in page.all("figure") if "data-cell" in figure)
    assert max(counts.values()) <= 12


def test_nothing_is_fetched_and_only_its_own_script_may_run() -> None:
    html = render(report())
    page = Page(html)
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not page.all("link")
    assert set(re.findall(r"https?://[\w.]+", html)) <= {"http://www.w3.org"}
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert policy in str(page.all("meta")[1]["content"])


def test_identifiers_occur_once() -> None:
    found = Counter(attributes["id"] for _, attributes in Page(render(report())).elements if "id" in attributes)
    assert max(found.values()) == 1


def test_names_are_text_wherever_they_come_from() -> None:
    evil = "<script>alert(1)</script>\"'>"
    nasty = replace(
        named(evil),
        title=evil,
        subtitle=evil,
        warnings=(evil,),
        made=evil,
        recipe=sections({"data": evil, evil: {evil: evil}}, evil, {"data": evil}),
        training=Training(epochs(), evil, 1),
        mistakes=tuple(replace(example, name=evil) for example in report().mistakes),
    )
    page = Page(render(nasty))
    assert len(page.all("script")) == 1
    assert not page.open
    assert page.text.count(evil) > 20


def test_its_korean_needs_no_installed_font() -> None:
    assert "@font-face" in render(named("고양이", "dog"))
    assert "@font-face" not in render(named("cat", "dog"))


def test_a_browser_draws_korean_names_with_their_own_glyphs(tmp_path: Path, open_page: OpenPage) -> None:
    """The first of them too: Chromium keeps boxes for what it laid out before it had read the font."""
    write_report(tmp_path / "report.html", named("고양이", "해바라기", "민들레"))
    page = open_page(tmp_path / "report.html")
    page.wait_for_function("document.fonts.status == 'loaded'")
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    names = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": ".matrix tbody th"})["nodeIds"]
    for node, count in zip(names, (3, 4, 3), strict=False):
        (font,) = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
        assert (font["familyName"], font["isCustomFont"], font["glyphCount"]) == (FAMILY, True, count)


def test_names_that_are_no_unicode_do_not_hinder_the_writing(tmp_path: Path) -> None:
    broken = replace(named("고양이", "\udcff"), title="\udcfe 손글씨")
    write_report(tmp_path / "report.html", broken)
    assert "고양이" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_several_labels_have_no_matrix_but_ranking_figures() -> None:
    page = Page(render(labeled()))
    assert "AP" in page.text
    assert "dog, cat" in " ".join(page.text.split())
    assert "taken for nothing" in " ".join(page.text.split())
    assert "62.5" in page.text  # the mean of the labels that have a figure
    assert not [table for table in page.all("table") if "matrix" in str(table["class"])]


def test_the_least_report_is_a_page() -> None:
    least = Report("t", "s", (), Classes(("a", "b"), per_class(np.zeros((2, 2), np.int64)), np.zeros((2, 2), np.int64)))
    page = Page(render(least))
    assert not page.open
    assert not page.all("svg")


def test_a_thousand_classes_show_pairs_instead_of_a_million_cells() -> None:
    matrix = np.eye(1000, dtype=np.int64)
    matrix[3, 5] = 7
    names = tuple(f"class {place}" for place in range(1000))
    html = render(Report("t", "s", (), Classes(names, per_class(matrix), matrix)))
    assert len(html) < 2_000_000
    assert [button["data-count"] for button in Page(html).all("button") if "data-count" in button] == ["7"]


def test_confused_pairs_come_fullest_first() -> None:
    matrix = np.array([[5, 1, 0], [9, 5, 2], [0, 0, 0]])
    pairs = confused(Classes(("a", "b", "c"), per_class(matrix), matrix))
    assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [(1, 0, 9), (1, 2, 2), (0, 1, 1)]
    assert pairs[0].share == pytest.approx(9 / 16)


def test_pictures_are_bounded_in_bytes() -> None:
    pictures = tuple(Example("a", "x" * 100, (0,), (0,), 1.0) for _ in range(10))
    assert len(within(pictures, 350)) == 3
    assert within((), 350) == ()
    heavy = tuple(replace(example, image="data:," + "x" * 500_000) for example in report().mistakes[:20])
    assert len(render(replace(report(), mistakes=heavy))) < 6_500_000


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, replace(report(), training=Training(epochs(9), "accuracy")))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", report())


def test_figures_that_do_not_fit_the_names_are_refused() -> None:
    with pytest.raises(DataError, match="do not fit its 9 class names"):
        replace(report().classes, names=tuple("012345678"))


def test_sections_of_a_recipe() -> None:
    document = {"batch": 64, "optimization": {"rate": 0.0010000001, "weight_decay": 0.0}, "flip": False, "empty": {}}
    first, second = sections(document, "training", {"batch": "fits", "optimization.rate": "usual"})
    assert [(row.name, row.value, row.reason) for row in first.rows] == [("Batch", "64", "fits"), ("Flip", "no", "")]
    assert second.title == "Optimization"
    assert [(row.name, row.value, row.reason) for row in second.rows] == [
        ("Rate", "0.001", "usual"),
        ("Weight decay", "0", ""),
    ]


def test_percent() -> None:
    assert percent(0.98123) == "98.1\N{NO-BREAK SPACE}%"
    assert percent(float("nan")) == percent(None) == "–"


def test_reports_never_import_torch_or_pyplot() -> None:
    program = "import sys, convolve.reports.page; print(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cells_of_pixels_are_shares_with_the_number_under_the_pointer() -> None:
    matrix = np.array([[1234567, 1, 0], [40, 60, 0], [0, 0, 7]])
    names = ("road", "하늘", "car")
    page = Page(render(Report("t", "s", (), Classes(names, per_class(matrix), matrix, counted="pixels"))))
    cells = [button for button in page.all("button") if "data-cell" in button]
    found = {str(cell["data-cell"]): (cell["title"], cell["data-count"]) for cell in cells}
    assert found["0-0"] == ("1\N{NO-BREAK SPACE}234\N{NO-BREAK SPACE}567 pixels, 100.0\N{NO-BREAK SPACE}%", "1234567")
    assert found["1-0"] == ("40 pixels, 40.0\N{NO-BREAK SPACE}%", "40")
    assert "Cells give the share of the row in per cent" in page.text
    assert [text for text in (">99", "<1", "40", "60", "100") if text not in page.text] == []
    assert "1234567" not in page.text
    assert "gallery" not in {str(part.get("id")) for part in page.all("div")}  # no cell has pictures
