"""The page: its sections in order, escaped, self-contained, the same twice."""

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
from jinja2 import TemplateNotFound

from convolve.errors import ConvolveError, DataError
from convolve.fonts import FAMILY
from convolve.metrics.confusion import class_metrics
from convolve.reports.page import render, write_report
from convolve.reports.report import (
    Headline,
    Report,
    Section,
    Training,
    fact_lists,
    format_count,
    format_interval,
    percent,
    sentence_case,
    whole_percent,
)
from convolve.reports.sections import (
    ClassColumn,
    class_section,
    confusion_section,
    fact_section,
    precision_recall_columns,
    training_section,
)
from convolve.values import Indices
from tests.browser import OpenPage
from tests.reports.sample import DIGITS, digits_matrix, epochs, report

VOID = {"meta", "img", "br", "link", "input"}
SPACE = "\N{NO-BREAK SPACE}"


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


def page_of(*sections: Section) -> Page:
    return Page(render(Report("t", "s", (), sections)))


def cells(page: Page) -> dict[str, dict[str, str | None]]:
    """The buttons of the confusion matrix by their cell."""
    return {str(button["data-cell"]): button for button in page.all("button") if "style" in button}


def classes_of(matrix: Indices, names: tuple[str, ...]) -> Section:
    metrics = class_metrics(matrix)
    return class_section(names, metrics.support, "images", precision_recall_columns(metrics))


def test_the_page_has_the_sections_in_their_order() -> None:
    page = Page(render(report()))
    assert not page.open
    for words in ("lenet5 on digits", "800 images", "fits the memory", "Two images are alike.", "convolve 0.1.0"):
        assert words in page.text
    anchors = [attributes["id"] for attributes in page.all("section") if "id" in attributes]
    assert anchors == ["confusion", "classes", "training", "data", "recipe"]
    assert [link["href"] for link in page.all("a")] == [f"#{anchor}" for anchor in anchors]
    assert len(page.all("svg")) == 3
    turned = Page(render(replace(report(), sections=report().sections[::-1])))
    assert [link["href"] for link in turned.all("a")] == [f"#{anchor}" for anchor in anchors[::-1]]


def test_a_section_of_any_package_brings_template_style_and_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "someones_task" / "templates"
    folder.mkdir(parents=True)
    (folder / "color.html.j2").write_text("<p class=color>{{ color }} {{ 0.5 | percent }}</p>")
    (folder / "report.css").write_text(".color { color: teal; }")
    (folder / "report.js").write_text("/* theirs */")
    monkeypatch.syspath_prepend(tmp_path)
    section = Section("color", "Mean color", ("someones_task", "color.html.j2"), {"color": "<teal>"})
    html = render(replace(report(), sections=(section, *report().sections, replace(section, anchor="again"))))
    assert html.count(f"<p class=color>&lt;teal&gt; 50.0{SPACE}%</p>") == 2
    assert html.count(".color { color: teal; }") == html.count("/* theirs */") == 1
    with pytest.raises(TemplateNotFound):
        page_of(replace(section, template=("someones_task", "shape.html.j2")))


def test_the_confusion_matrix_has_a_button_for_every_cell_that_is_not_empty() -> None:
    matrix = digits_matrix()
    found = cells(Page(render(report())))
    assert set(found) == {f"{row}-{column}" for row, column in np.argwhere(matrix)}
    for cell, button in found.items():
        row, _, column = cell.partition("-")
        assert str(button["class"]).split()[0] == ("r" if row == column else "w")
        fraction = matrix[int(row), int(column)] / matrix[int(row)].sum()
        assert button["style"] == f"--d:{round(100 * fraction**0.5)}%"


def test_nothing_is_fetched_and_only_its_own_script_may_run() -> None:
    html = render(report())
    page = Page(html)
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert not page.all("link")
    assert set(re.findall(r"https?://[\w.]+", html)) <= {"http://www.w3.org"}
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = str(page.all("meta")[1]["content"])
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert policy.endswith(f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'")


def test_identifiers_occur_once() -> None:
    found = Counter(attributes["id"] for _, attributes in Page(render(report())).elements if "id" in attributes)
    assert max(found.values()) == 1


def test_names_are_text_wherever_they_come_from() -> None:
    evil = "<script>alert(1)</script>\"'>"
    names = (evil, *DIGITS[1:])
    nasty = replace(
        report(names),
        title=evil,
        subtitle=evil,
        headlines=(Headline(evil, evil, evil),),
        footer=evil,
        sections=(
            *report(names).sections[:2],
            training_section(Training(epochs(), evil, 1)),
            fact_section("data", evil, fact_lists({"data": evil, evil: {evil: evil}}, evil, {"data": evil}), (evil,)),
        ),
    )
    page = Page(render(nasty))
    assert len(page.all("script")) == 1
    assert not page.open
    assert page.text.count(evil) > 15


def test_its_korean_needs_no_installed_font() -> None:
    assert "@font-face" in render(report(("고양이", *DIGITS[1:])))
    assert "@font-face" not in render(report(("cat", *DIGITS[1:])))


def test_a_browser_draws_korean_names_with_their_own_glyphs(tmp_path: Path, open_page: OpenPage) -> None:
    """The first of them too: Chromium keeps boxes for what it laid out before it had read the font."""
    write_report(tmp_path / "report.html", report(("고양이", "해바라기", "민들레", *DIGITS[3:])))
    page = open_page(tmp_path / "report.html")
    page.evaluate("document.fonts.ready.then(() => true)")
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    for table in (".matrix", ".figures"):
        names = session.send("DOM.querySelectorAll", {"nodeId": root, "selector": f"{table} tbody th"})["nodeIds"]
        for node, count in zip(names, (3, 4, 3), strict=False):
            (font,) = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
            assert (font["familyName"], font["isCustomFont"], font["glyphCount"]) == (FAMILY, True, count)


def test_names_that_are_no_unicode_do_not_prevent_the_writing(tmp_path: Path) -> None:
    broken = replace(report(("고양이", "\udcff", *DIGITS[2:])), title="\udcfe 손글씨")
    write_report(tmp_path / "report.html", broken)
    assert "고양이" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_control_characters_in_names_are_written_as_escapes() -> None:
    html = render(replace(report(("a\nb\x1b[31m", *DIGITS[1:])), title="x\r\ny\t\x00z"))
    assert r"a\nb\x1b[31m" in html
    assert r"<title>x\r\ny\t\x00z</title>" in html
    assert not set(html) & {chr(code) for code in (*range(32), 127) if code != ord("\n")}
    assert "a\nb" not in html


def test_the_least_report_is_a_page() -> None:
    empty = np.zeros((2, 2), np.int64)
    page = page_of(confusion_section(("a", "b"), empty, "images"), classes_of(empty, ("a", "b")))
    assert not page.open
    assert not page.all("svg")
    assert not page_of().open


def test_a_thousand_classes_show_pairs_instead_of_a_million_cells() -> None:
    matrix = np.eye(1000, dtype=np.int64)
    matrix[3, 5] = 7
    names = tuple(f"class {index}" for index in range(1000))
    html = render(Report("t", "s", (), (confusion_section(names, matrix, "images"), classes_of(matrix, names))))
    assert len(html) < 2_000_000
    assert [button["data-count"] for button in Page(html).all("button") if "data-count" in button] == ["7"]


def test_confused_pairs_come_fullest_first() -> None:
    matrix = np.array([[5, 1, 0], [9, 5, 2], [0, 0, 0]])
    page = page_of(confusion_section(("ape", "bee", "cat"), matrix, "images"))
    pairs = [
        (str(button["data-cell"]), button["data-count"]) for button in page.all("button") if "data-count" in button
    ]
    assert pairs == [("1-0", "9"), ("1-2", "2"), ("0-1", "1")]
    assert f"bee predicted as ape9 (56.2{SPACE}%)" in page.text


def test_cells_of_pixels_are_percentages_with_the_number_under_the_pointer() -> None:
    matrix = np.array([[1234567, 1, 0], [40, 60, 0], [0, 0, 7]])
    page = page_of(confusion_section(("road", "하늘", "car"), matrix, "pixels", percentages=True))
    found = {cell: (button["title"], button["data-count"]) for cell, button in cells(page).items()}
    assert found["0-0"] == (f"1{SPACE}234{SPACE}567 pixels, 100.0{SPACE}%", "1234567")
    assert found["0-1"] == (f"1 pixel, 0.0{SPACE}%", "1")
    assert found["1-0"] == (f"40 pixels, 40.0{SPACE}%", "40")
    assert "Each cell shows the percentage of its row's pixels" in page.text
    assert [text for text in (">99", "<1", "40", "60", "100") if text not in page.text] == []
    assert "1234567" not in page.text


def test_the_table_of_classes_has_every_value_and_both_means() -> None:
    names, counts = ("ape", "bee", "never"), np.array([30, 50, 0])
    values = np.array([0.5, 0.25, np.nan])
    page = page_of(class_section(names, counts, "images", [ClassColumn("AP", values, "how good it is", 0.375)]))
    assert [cell["data-value"] for cell in page.all("td") if "data-value" in cell] == [
        *("30", "0.500000", "50", "0.250000", "0", "-1")
    ]
    text = " ".join(page.text.split())
    assert "AP: how good it is." in text
    assert "Mean of the classes37.5 Weighted by images–" in text


def test_a_class_of_few_images_is_pointed_out() -> None:
    few = " ".join(page_of(classes_of(np.diag([40, 4, 0]), ("ape", "bee", "never"))).text.split())
    assert "bee has only 4 images: one prediction more or less changes its recall by 25.0 %." in few
    assert "has only" not in page_of(classes_of(np.diag([40, 20]), ("ape", "bee"))).text


def test_the_best_epoch_is_named_with_its_metric() -> None:
    text = page_of(training_section(Training(epochs(), "mean IoU", 3))).text
    assert "The dotted line is the best epoch, 3, by mean IoU on the validation split." in " ".join(text.split())
    assert "dotted" not in page_of(training_section(Training(epochs(), "mean IoU"))).text


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(tmp_path / name, report())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvolveError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", report())


def test_metrics_that_do_not_fit_the_names_are_refused() -> None:
    matrix = digits_matrix()
    with pytest.raises(DataError, match="do not fit its 9 class names"):
        confusion_section(DIGITS[1:], matrix, "images")
    with pytest.raises(DataError, match="do not fit its 9 class names"):
        classes_of(matrix, DIGITS[1:])


def test_lists_of_a_recipe() -> None:
    document = {"batch": 64, "optimization": {"rate": 0.0010000001, "weight_decay": 0.0}, "flip": False, "empty": {}}
    first, second = fact_lists(document, "training", {"batch": "fits", "optimization.rate": "usual"})
    assert [(fact.name, fact.value, fact.reason) for fact in first.facts] == [
        ("Batch", "64", "fits"),
        ("Flip", "no", ""),
    ]
    assert (first.title, second.title) == ("Training", "Optimization")
    assert [(fact.name, fact.value, fact.reason) for fact in second.facts] == [
        ("Rate", "0.001", "usual"),
        ("Weight decay", "0", ""),
    ]


def test_numbers_in_words() -> None:
    assert percent(0.98123) == f"98.1{SPACE}%"
    assert percent(float("nan")) == percent(None) == "–"
    assert [whole_percent(value) for value in (0, 0.004, 0.5, 0.996, 1)] == ["0", "<1", "50", ">99", "100"]
    assert format_interval((0.8616, 0.9688)) == f"95{SPACE}% interval 86.2 to 96.9"
    assert [format_count(count, "images") for count in (0, 1, 1234)] == ["0 images", "1 image", f"1{SPACE}234 images"]
    assert [sentence_case(text) for text in ("mean IoU", "ROC AUC", "")] == ["Mean IoU", "ROC AUC", ""]


def test_reports_import_torch_never_and_matplotlib_only_to_draw() -> None:
    modules = "convolve.reports.page, convolve.reports.sections, convolve.reports.notebook, convolve.reports.colors"
    program = f"import sys, {modules}; print(sorted({{'torch', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
