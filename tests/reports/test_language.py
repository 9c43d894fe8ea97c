"""Pages in Korean: every sentence of every worked calculation has one, with the same numbers in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

import convolve
from convolve.from_scratch.filters import apply_all
from convolve.from_scratch.traces.examples import EXAMPLES
from convolve.from_scratch.traces.trace import Trace
from convolve.reports import language
from convolve.reports.assets import asset
from convolve.reports.language import CATALOGS, catalog, missing_clauses, translate, translate_page
from convolve.reports.page import render
from convolve.reports.traces import render_images, render_trace
from convolve.untrusted.documents import parse_toml
from convolve.verbs.scratch import WorkedCalculation
from convolve.verbs.scratch.operations import OPERATIONS
from tests.reports.korean import english_texts
from tests.reports.sample import report

KOREAN = catalog("ko")
BOXES = "0 0 4 4 0.9; 1 1 5 5 0.4; 0 0 3 4 0.8; 20 20 24 24 0.7"
MATRIX = "1 1 2 4; 5 6 7 8; 3 2 1 0; 1 2 3 4"
OTHERS: list[Mapping[str, object]] = [
    *({"operation": "activation", "kind": kind, "input": "-4 0 1"} for kind in ("tanh", "leaky relu", "elu")),
    *({"operation": "pool", "kind": kind, "input": f"{MATRIX} | {MATRIX}"} for kind in ("max", "min", "average")),
    {"operation": "conv1d", "input": "1 2 3 4 5 6", "kernel": "1 0 -1", "stride": 2, "padding": 1},
    {"operation": "maxout", "input": "1 2; 3 4", "kernel": "1 3; 2 4 | 1 0; 0 1 | 1 1; 1 1"},
    {"operation": "softmax", "input": "1 2 3"},
    {"operation": "softmax", "input": "1 2 3; 9 0 0"},
    {"operation": "hinge", "input": "1 2 3; 9 0 0", "target": "1 1"},
    {"operation": "nms", "input": BOXES},
    {"operation": "average-precision", "input": "0.9 1; 0.8 0; 0.7 0", "target": "2"},
    {"operation": "average-precision", "input": "1 0 0 4 4 0.9; 2 9 9 12 12 0.8", "target": "1 0 0 4 4"},
    {"operation": "iou", "input": "0 0 4 4", "target": "2 0 6 4; 20 20 24 24"},
]
"""What the examples do not have."""


def sentences(trace: Trace) -> Iterator[str]:
    yield trace.title
    for phase in trace.phases:
        yield from (phase.title, phase.formula)
        for step in phase.steps:
            yield from (step.title, *step.equations)
            yield from (table.label or "" for table in step.tables)
            yield from (term.text for table in step.tables for row in table.rows for term in row)
    for grid in trace.grids:
        yield from (grid.name, grid.title)
    if trace.drawing:
        yield trace.drawing.title
        yield from (shape.label or "" for shape in trace.drawing.shapes)


def missing(options: Mapping[str, object]) -> set[str]:
    """What the catalog lacks of an operation, forward and, where it has one, backward."""
    lacking: set[str] = set()
    operation = str(options.get("operation") or EXAMPLES[str(options["example"])].options["operation"])
    takes_backward = operation in OPERATIONS and "backward" in OPERATIONS[operation].options
    for backward in (None, True) if takes_backward else (None,):
        calculation = convolve.scratch(**options, backward=backward, progress=False)  # type: ignore[arg-type]
        assert isinstance(calculation, WorkedCalculation)
        lacking.update(clause for text in sentences(calculation.trace) for clause in missing_clauses(text, "ko"))
    return lacking


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_sentence_of_an_example_has_a_korean_one(name: str) -> None:
    assert not missing({"example": name})


@pytest.mark.parametrize("options", OTHERS, ids=lambda options: f"{options['operation']} {options.get('kind', '')}")
def test_every_sentence_of_an_operation_has_a_korean_one(options: Mapping[str, object]) -> None:
    assert not missing(options)


def test_every_sentence_of_selective_search_has_a_korean_one(tmp_path: Path) -> None:
    from PIL import Image

    photo = astronaut()[:200, :200]  # type: ignore[no-untyped-call]
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert not missing({"operation": "proposals", "input": str(tmp_path / "photo.png")})


@pytest.mark.parametrize("template", ["trace.html.j2", "filters.html.j2"])
def test_every_sentence_of_a_template_is_in_the_catalog(template: str) -> None:
    text = re.sub(r"\{%.*?%\}|\{#.*?#\}", "", asset(template), flags=re.DOTALL)
    written = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)
    assert not re.search(r"[A-Za-z]{3,}", re.sub(r"<[^>]*>|&\w+;", " ", written)), "a sentence that is not translated"
    for sentence in re.findall(r'"([^"]+)" \| translated', text):
        assert not missing_clauses(sentence, "ko")


def test_a_translation_has_the_numbers_of_its_sentence() -> None:
    for sentence, translation in KOREAN.items():
        numbers = sentence.count("#")
        named = {int(n) for n in re.findall(r"#(\d)", translation)}
        assert translation.count("#") == numbers, sentence
        assert not named or numbers == 1 or named <= set(range(1, numbers + 1)), sentence
        assert len(re.findall(r"\{\d?\}", translation)) == sentence.count("{}"), sentence


def test_no_sentence_has_two_translations() -> None:
    folder = Path(language.__file__).parent
    keys = [set(parse_toml((folder / name).read_text(encoding="utf-8"))) for name in CATALOGS["ko"]]
    assert sum(map(len, keys)) == len(KOREAN)


def test_a_sentence_is_translated_whole_or_clause_by_clause_and_a_formula_is_not() -> None:
    largest = translate("x[1,2] = 5 is the largest: it gets δ = -0.5", "ko")
    assert largest == "x[1,2] = 5, 가장 큰 값이므로 δ = -0.5을 받음"
    assert translate("Forward: the output y", "ko") == "순전파: 출력 y"
    assert translate("∂y/∂x = 1 if x > 0", "ko") == "x > 0이면 ∂y/∂x = 1"
    assert translate("rank[1,2]", "ko") == "순위[1,2]"
    for formula in ("y = max(0, x)", "1·2 + 3·-4 = -10", "dx = δ · wᵀ", "IoU = 4 / 9 = 0.44"):
        assert translate(formula, "ko") == formula
    assert translate("an unknown sentence: the output y", "ko") == "an unknown sentence: 출력 y"
    assert missing_clauses("an unknown sentence of 3: the output y", "ko") == ["an unknown sentence of #"]
    assert translate("Forward: the output y", "en") == "Forward: the output y"


def test_numbers_and_names_of_a_sentence_stay_in_their_order_or_the_given_one() -> None:
    interval = "95\u00a0% interval 86.2 to 96.9, 1\u00a0797 images"
    assert translate(interval, "ko") == "95% 구간 86.2~96.9, 이미지 1\u00a0797장"
    assert translate("12 of 30 images.", "ko") == "이미지 12/30장."
    assert translate("IoU 0.15, disc taken for square", "ko") == "IoU 0.15, disc 대신 square(으)로 예측"
    assert translate("Accuracy", "ko") == "정확도"
    assert translate("Such a sentence is unknown. Click a heading to sort.", "ko") == (
        "Such a sentence is unknown. 제목을 누르면 정렬합니다."
    )


def test_a_page_is_translated_but_for_names_scripts_and_markup() -> None:
    english = (
        '<html lang="en"><h2 title="Recall"> Recall\n</h2>',
        '<b translate="no" title="Recall">Recall <b>Recall</b> Recall</b><img translate="no" alt="Recall">Recall<br>',
        '&lt;Recall<p data-text="# images">1 &amp; 2</p><script>Recall</script><style>Recall</style></html>',
    )
    korean = (
        '<html lang="ko"><h2 title="재현율"> 재현율\n</h2>',
        '<b translate="no" title="Recall">Recall <b>Recall</b> Recall</b><img translate="no" alt="Recall">재현율<br>',
        '&lt;Recall<p data-text="이미지 #장">1 &amp; 2</p><script>Recall</script><style>Recall</style></html>',
    )
    page = "".join(english)
    assert translate_page(page, "ko") == "".join(korean)
    assert translate_page(page, "en") == page


def test_a_class_that_is_called_like_a_word_of_the_page_keeps_its_name() -> None:
    names = ("training", "recall", "images", "none", "loss", "epoch", "color", "mean", "yes", "path")
    html = render(report(names), "ko")
    assert all(html.count(f">{name}<") >= 3 for name in names)  # row and column of the matrix, row of the table
    assert english_texts(html, ("digits", "Two images are alike", "fits the memory", "lenet", "Found")) == []


def test_a_korean_page_has_no_english_sentence(tmp_path: Path) -> None:
    calculation = convolve.scratch(example="nms", page=tmp_path / "nms.html", language="ko", progress=False)
    html = (tmp_path / "nms.html").read_text(encoding="utf-8")
    assert isinstance(calculation, WorkedCalculation)
    assert calculation.trace.title == "Non-maximum suppression"
    assert '<html lang="ko">' in html
    assert "<h1>비최대 억제(NMS)</h1>" in html
    assert 'data-play="재생"' in html
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]*>", " ", html, flags=re.DOTALL)
    assert set(re.findall(r"[A-Za-z]{3,}", body)) <= {"NMS", "IoU", "min", "max"}


def test_a_filtered_photograph_has_a_korean_page() -> None:
    photo = astronaut()[:64, :64]  # type: ignore[no-untyped-call]
    images = apply_all(np.asarray(photo, np.uint8))
    html = render_images("사진.jpg", images, "ko")
    body = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    assert "선명하게" in body
    assert not set(re.findall(r"[A-Za-z]{3,}", body)) - {"jpg"}


def test_the_english_page_is_the_one_without_a_language() -> None:
    calculation = convolve.scratch(example="mask", progress=False)
    assert isinstance(calculation, WorkedCalculation)
    assert render_trace(calculation.trace) == render_trace(calculation.trace, "en")
    assert "1 of 9" not in render_trace(calculation.trace)
    assert 'data-position="# of #"' in render_trace(calculation.trace)


def test_a_language_without_a_page_is_refused() -> None:
    with pytest.raises(convolve.ConvolveError, match="language is that of the page; add --page"):
        convolve.scratch(example="mask", language="ko", progress=False)
