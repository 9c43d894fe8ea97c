"""The book: two languages that say the same, figures that are drawn and used, and pages that fetch nothing."""

from __future__ import annotations

import importlib
import os
import re
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure
from sphinx.application import Sphinx

from tools.run_docs_commands import Block, blocks, run

DOCS = Path(__file__).parent.parent / "docs"
BOOK = DOCS / "book"
TRANSLATED = sorted(path.name for path in DOCS.glob("*.ko.md"))
CHAPTERS = sorted(path.name for path in (BOOK / "en").glob("*.md"))
QUOTATION = re.compile(r"^```\{literalinclude\}.*?^```$", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^(?:<!-- cost: [^\n]*\n)?```.*?^```$", re.DOTALL | re.MULTILINE)
SUMS = re.compile(r"^```console\n\$ (convolve scratch[^\n]*)\n```\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"!\[[^\]]+\]\(\.\./images/([^)]+)\)")


def load(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(name)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("figures", BOOK, monkeypatch)


def chapter(language: str, name: str) -> str:
    return (BOOK / language / name).read_text(encoding="utf-8")


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_chapter_is_there_in_both_languages_and_in_the_contents() -> None:
    assert sorted(path.name for path in (BOOK / "ko").glob("*.md")) == CHAPTERS
    listed = re.findall(r"^book/(\w\w)/(\w+)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted((language, Path(name).stem) for name in CHAPTERS for language in ("en", "ko"))


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_languages_link_to_each_other_and_show_the_same(name: str) -> None:
    english, korean = chapter("en", name), chapter("ko", name)
    assert english.splitlines()[2] == f"[한국어](../ko/{name})"
    assert korean.splitlines()[2] == f"[English](../en/{name})"
    assert QUOTATION.findall(english) == QUOTATION.findall(korean)
    assert SHOWN.findall(english) == SHOWN.findall(korean)
    assert [block.script for block in blocks(english)] == [block.script for block in blocks(korean)]


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_page_in_both_languages_has_the_same_code_and_headings(name: str) -> None:
    original = name.replace(".ko.", ".")
    english, korean = ((DOCS / page).read_text(encoding="utf-8") for page in (original, name))
    assert english.splitlines()[2] == f"[한국어]({name})"
    assert korean.splitlines()[2] == f"[English]({original})"
    assert FENCED.findall(english) == FENCED.findall(korean)
    headings = [re.findall("^#+ ", FENCED.sub("", page), re.MULTILINE) for page in (english, korean)]
    assert headings[0] == headings[1]
    assert {Path(original).stem, Path(name).stem} <= set((DOCS / "index.md").read_text(encoding="utf-8").split())


def test_the_glossary_has_the_same_terms_in_both_languages() -> None:
    rows = re.compile(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
    english, korean = (rows.findall((DOCS / name).read_text("utf-8")) for name in ("glossary.md", "glossary.ko.md"))
    assert [term for _, term in english if term != "Korean"] == [term for term, _ in korean if term != "용어"]
    assert len(english) == len(korean)


def test_code_is_quoted_by_name() -> None:
    for name in CHAPTERS:
        for quotation in QUOTATION.findall(chapter("en", name)):
            assert re.search(r"^:(pyobject|start-at):", quotation, re.MULTILINE), quotation
            assert ":lines:" not in quotation


def test_sums_that_are_shown_are_those_of_the_command_above_them(tmp_path: Path) -> None:
    for name in CHAPTERS:
        for command, sums in SUMS.findall(chapter("en", name)):
            output = tmp_path / "output"
            assert run(Block(0, "bash", f"{command} > {output}"), tmp_path) is None
            assert set(sums.splitlines()) <= set(output.read_text(encoding="utf-8").splitlines())


def test_every_figure_is_drawn_and_used(figures: ModuleType) -> None:
    shown = {picture for name in CHAPTERS for picture in SHOWN.findall(chapter("en", name))}
    assert shown == figures.figures().keys()


def test_a_figure_is_the_same_every_time(figures: ModuleType) -> None:
    for name in ("convolution-mask.svg", "perceptron-templates.png"):
        picture = figures.figures()[name]
        assert figures.render(name, picture) == figures.render(name, picture)


def test_the_figures_have_the_lectures_numbers(figures: ModuleType) -> None:
    drawn = figures.figures()
    assert words(drawn["convolution-mask.svg"]())[-11:-2] == ["4", "3", "4", "2", "4", "3", "2", "3", "4"]
    padded = [7, 12, 10, 2, 4, 15, 16, 10, 10, 6, 15, 6, 8, 10, 4, 3]
    assert list(map(int, words(drawn["convolution-padding.svg"]())[-18:-2])) == padded
    assert words(drawn["convolution-stride.svg"]())[-11:-9] == ["15", "17"]
    assert words(drawn["convolution-edges.svg"]())[-14:-10] == ["0", "300", "300", "0"]
    assert {"308", "−498", "164", "+ 1", "−25"} <= set(words(drawn["convolution-channels.svg"]()))
    assert {"6", "8", "3.25", "5.25", "2.5", "7.5"} <= set(words(drawn["pooling-2x2.svg"]()))


def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """Build the pages below a folder by the book's own conf.py, without drawing anything; what it warned of."""
    monkeypatch.setattr(load("figures", BOOK, monkeypatch), "write", lambda: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / "book" / "static").mkdir(parents=True, exist_ok=True)
    warnings, built = StringIO(), folder / "_build"
    own: dict[str, object] = {"html_static_path": []}
    Sphinx(folder, DOCS, built, built / "trees", "html", confoverrides=own, status=None, warning=warnings).build()
    repeated = "is already registered"  # what Sphinx says of its own nodes when it runs again in one process
    return built, "".join(line for line in warnings.getvalue().splitlines(keepends=True) if repeated not in line)


def test_a_page_sets_formulas_and_drawings_itself_and_says_where_code_is_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, images = tmp_path / "book" / "ko", tmp_path / "book" / "images"
    pages.mkdir(parents=True)
    images.mkdir()
    (tmp_path / "index.md").write_text("# Book\n\n```{toctree}\nbook/ko/page\n```\n")
    (images / "one.svg").write_text('<svg viewBox="0 0 72 36" xmlns="http://www.w3.org/2000/svg"></svg>')
    source = os.path.relpath(DOCS.parent / "src" / "convolve" / "from_scratch" / "affine.py", pages)
    (pages / "page.md").write_text(
        "# 장\n\n![a < b](../images/one.svg) $\\frac{1}{m} \\log y$\n\n$$\\begin{bmatrix} 1 & 2 \\end{bmatrix}$$\n\n"
        f"```{{literalinclude}} {source}\n:pyobject: affine_backward\n```\n",
        encoding="utf-8",
    )
    built, warnings = build(tmp_path, monkeypatch)
    page = (built / "book" / "ko" / "page.html").read_text(encoding="utf-8")
    assert warnings == ""
    assert "<mfrac>" in page
    assert '<mi>log</mi><mspace width="0.17em"/><mi>y</mi>' in page
    assert '<mtable class="bracketed">' in page
    assert '<svg role="img" aria-label="a &lt; b" viewBox' in page
    assert 'style="--width: 96px"' in page
    assert '<p class="quoted-from">src/convolve/from_scratch/affine.py</p>' in page
    assert 'lang="ko"' in page
    assert not re.search(r'<(script|link|img|iframe)[^>]+(src|href)="(https?:)?//', page)


def test_a_formula_that_cannot_be_set_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.md").write_text("# Book\n\n$\\nosuch{x}$ and $a & b$\n")
    _, warnings = build(tmp_path, monkeypatch)
    assert "index.md:3: WARNING: latex2mathml does not know \\nosuch" in warnings
    assert "latex2mathml does not know &" in warnings


def test_a_docstring_s_marks_are_those_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "documented.py").write_text(
        '''\
def gap(a, b):
    """The magnitude |a - b| of `a` and ``b`` less each other.

    As in:

        gap(1, 2)  # |1 - 2|

    Raises `ValueError` for none.
    """
'''
    )
    monkeypatch.syspath_prepend(tmp_path)
    page = "# Book\n\n```{eval-rst}\n.. autofunction:: documented.gap\n```\n"
    (tmp_path / "index.md").write_text(page)
    built, warnings = build(tmp_path, monkeypatch)
    page = (built / "index.html").read_text(encoding="utf-8")
    html = re.sub(r"<[^>]+>", "", page)
    assert warnings == ""
    assert re.findall(r'<code[^>]*><span class="pre">(\w+)</span></code>', page) == ["a", "b", "ValueError"]
    assert "The magnitude |a - b| of a and b less each other." in html
    assert "\ngap(1, 2)  # |1 - 2|\n" in html
    assert "Raises ValueError for none." in html
