"""The book: two languages that say the same, figures that are drawn and used, and pages that fetch nothing."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_sample_image
from sphinx.application import Sphinx

from tools.run_docs_commands import Block, blocks, run

DOCS = Path(__file__).parent.parent / "docs"
BOOK = DOCS / "book"
TRANSLATED = sorted(path.name for path in DOCS.glob("*.ko.md"))
CHAPTERS = sorted(path.name for path in (BOOK / "en").glob("*.md"))
QUOTATION = re.compile(r"^```\{literalinclude\}.*?^```$", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^(?:<!-- cost: [^\n]*\n)?```.*?^```$", re.DOTALL | re.MULTILINE)
SUMS = re.compile(r"^```console\n\$ (convolve scratch[^\n]*)\n```\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTED = re.compile(r"^```python\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```$", re.MULTILINE)
FOLDED = re.compile(
    r"^## (?:Exercises|연습 문제)\n(.*?)^<details>\n<summary>(?:Answers|답)</summary>\n(.*?)^</details>$",
    re.DOTALL | re.MULTILINE,
)
SHOWN = re.compile(r"!\[[^\]]+\]\(\.\./images/([^)]+)\)")


def load(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(name)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("figures", BOOK, monkeypatch)


def chapter(language: str, name: str) -> str:
    return (BOOK / language / name).read_text(encoding="utf-8")


def contents(language: str) -> list[str]:
    """The pages that the front page of a language lists."""
    front = (DOCS / {"en": "index.md", "ko": "index.ko.md"}[language]).read_text(encoding="utf-8")
    listed = re.findall(r"^```\{toctree\}\n(?::\w+:[^\n]*\n)*\n(.*?)^```$", front, re.DOTALL | re.MULTILINE)
    return "".join(listed).split()


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_chapter_is_there_in_both_languages_and_in_the_contents() -> None:
    assert sorted(path.name for path in (BOOK / "ko").glob("*.md")) == CHAPTERS
    for language in ("en", "ko"):
        chapters = [entry.split("/")[2] for entry in contents(language) if entry.startswith(f"book/{language}/")]
        assert sorted(chapters) == [Path(name).stem for name in CHAPTERS]


def test_each_front_page_lists_the_pages_of_its_language_in_the_same_order() -> None:
    english = [entry for entry in contents("en") if entry not in {"api/index", "benchmarks", "index.ko"}]
    korean = [entry.replace("book/ko/", "book/en/").removesuffix(".ko") for entry in contents("ko")]
    assert korean == english


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_languages_link_to_each_other_and_show_the_same(name: str) -> None:
    english, korean = chapter("en", name), chapter("ko", name)
    assert english.splitlines()[2] == f"[한국어](../ko/{name})"
    assert korean.splitlines()[2] == f"[English](../en/{name})"
    assert QUOTATION.findall(english) == QUOTATION.findall(korean)
    assert SHOWN.findall(english) == SHOWN.findall(korean)
    assert [block.script for block in blocks(english)] == [block.script for block in blocks(korean)]


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_has_exercises_and_an_answer_to_each(name: str) -> None:
    counts: list[list[str]] = []
    for language in ("en", "ko"):
        ((exercises, answers),) = FOLDED.findall(chapter(language, name))
        counts += [re.findall(r"^(\d+)\. ", text, re.MULTILINE) for text in (exercises, answers)]
    assert counts[0] == [str(number) for number in range(1, len(counts[0]) + 1)]
    assert len(counts[0]) >= 3
    assert counts[1:] == counts[:1] * 3


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_page_in_both_languages_has_the_same_code_and_headings(name: str) -> None:
    original = name.replace(".ko.", ".")
    english, korean = ((DOCS / page).read_text(encoding="utf-8") for page in (original, name))
    assert english.splitlines()[2] == f"[한국어]({name})"
    assert korean.splitlines()[2] == f"[English]({original})"
    code = [[block for block in FENCED.findall(page) if "{toctree}" not in block] for page in (english, korean)]
    assert code[0] == code[1]
    headings = [re.findall("^#+ ", FENCED.sub("", page), re.MULTILINE) for page in (english, korean)]
    assert headings[0] == headings[1]
    assert name == "index.ko.md" or Path(original).stem in contents("en")
    assert Path(name).stem in contents("en" if name == "index.ko.md" else "ko")


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
    Image.fromarray(load_sample_image("flower.jpg")).save(tmp_path / "flower.jpg")  # as a block before a command does
    for name in CHAPTERS:
        for command, sums in SUMS.findall(chapter("en", name)):
            output = tmp_path / "output"
            assert run(Block(0, "bash", f"{command} > {output}"), tmp_path) is None
            assert set(sums.splitlines()) <= set(output.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", [name for name in CHAPTERS if PRINTED.search(chapter("en", name))])
def test_what_is_shown_below_a_block_of_python_is_what_it_prints(name: str, tmp_path: Path) -> None:
    shown = PRINTED.findall(chapter("en", name))
    assert PRINTED.findall(chapter("ko", name)) == shown
    for source, text in shown:
        (tmp_path / "block.py").write_text(source, encoding="utf-8")
        printed = StringIO()
        with redirect_stdout(printed):
            runpy.run_path(str(tmp_path / "block.py"))
        assert printed.getvalue() == text


def test_every_figure_is_drawn_and_used(figures: ModuleType) -> None:
    shown = {picture for name in CHAPTERS for picture in SHOWN.findall(chapter("en", name))}
    shown |= set(re.findall(r"\(book/images/([^)]+)\)", (DOCS / "claims.md").read_text(encoding="utf-8")))
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


def test_the_figures_of_networks_have_their_papers_sizes(figures: ModuleType) -> None:
    drawn = figures.figures()
    assert words(drawn["segmentation-transposed.svg"]())[-7:] == ["1", "2", "3", "4", "5", "6", "3"]
    sides = {"64×568×568", "128×280×280", "256×136×136", "512×64×64", "1024×28×28"}
    sides |= {"512×52×52", "256×100×100", "128×196×196", "64×388×388"}
    assert sides == set(filter(None, words(drawn["segmentation-unet.svg"]())))
    assert {"88×88", "70×70", "44×44", "34×34", "16×16"} <= set(words(drawn["segmentation-fcn.svg"]()))
    halves = [text for text in words(drawn["alexnet-towers.svg"]()) if text.isdecimal()]
    assert halves == [str(maps) for maps in (48, 128, 192, 192, 128, 2048, 2048) for _ in range(2)] + ["1000"]
    outputs = ["256", "480", "512", "512", "512", "528", "832", "832", "1024"]
    assert [text for text in words(drawn["googlenet-whole.svg"]()) if text.isdecimal()] == outputs
    assert words(drawn["plain-residual-vgg.svg"]()).count("256") == 4 + 2 * 12


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


@pytest.mark.filterwarnings("ignore:'myst_parser")  # MyST follows links by a name that Sphinx 11 will not have
def test_a_page_shows_the_pages_of_its_language_and_switches_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toctrees = "```{toctree}\nbook/en/page\nalone\n```\n\n```{toctree}\nindex.ko\n```\n"
    for name, text in {
        "index.md": f"# Book\n\n[한국어](index.ko.md)\n\n{toctrees}",
        "index.ko.md": "# 책\n\n[English](index.md)\n\n```{toctree}\nbook/ko/page\n```\n",
        "alone.md": "# Alone\n\nIn English only.\n",
        "book/en/page.md": "# One\n\n[한국어](../ko/page.md)\n",
        "book/ko/page.md": "# 하나\n\n[English](../en/page.md)\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    built, warnings = build(tmp_path, monkeypatch)
    assert warnings == ""

    def page(name: str) -> tuple[str, list[str], str]:
        """The switch, what the sidebar links to, and where the page goes on."""
        html = (built / name).read_text(encoding="utf-8")
        switch = re.findall(r'<p class="language">(.*?)</p>', html)
        sidebar = html[html.index('class="sidebar-tree"') : html.index('<div class="main">')]
        following = re.findall(r'<a class="next-page" href="([^"]+)"', html)
        plain = re.sub(r' class="[^"]*"', "", switch[0])
        assert len(switch) == 1
        return plain, re.findall(r'href="([^"]+)"', sidebar), "".join(following)

    korean_front = '<span>English</span><a href="index.ko.html">한국어</a>'
    assert page("index.html") == (korean_front, ["book/en/page.html", "alone.html"], "book/en/page.html")
    assert page("alone.html") == (korean_front, ["book/en/page.html", "#"], "")
    assert page("book/en/page.html")[:2] == (
        '<span>English</span><a href="../ko/page.html">한국어</a>',
        ["#", "../../alone.html"],
    )
    korean = (built / "book" / "ko" / "page.html").read_text(encoding="utf-8")
    assert 'placeholder="검색"' in korean
    assert "본문으로" in korean
    assert "Back to top" not in korean
    assert 'placeholder="Search"' in (built / "alone.html").read_text(encoding="utf-8")
    assert page("book/ko/page.html") == ('<a href="../en/page.html">English</a><span>한국어</span>', ["#"], "")


def test_a_page_frames_its_players_and_the_build_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = tmp_path / "book" / "ko"
    pages.mkdir(parents=True)
    (tmp_path / "index.md").write_text("# Book\n\n```{toctree}\nbook/ko/page\n```\n")
    (pages / "page.md").write_text("# 장\n\n```{player} bowl\n```\n", encoding="utf-8")
    built, warnings = build(tmp_path, monkeypatch)
    page = built / "book" / "ko" / "page.html"
    (address,) = re.findall(r'<iframe [^>]*src="([^"#]+)#ko"', page.read_text("utf-8"))
    assert warnings == ""
    assert (page.parent / address).resolve() == (built / "players" / "bowl.html").resolve()
    assert (built / "players" / "bowl.html").exists()
    (pages / "page.md").write_text("# 장\n\n```{player} nosuch\n```\n", encoding="utf-8")
    assert "There is no player nosuch" in build(tmp_path, monkeypatch)[1]


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


def test_arguments_of_a_docstring_are_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listed.py").write_text(
        '''\
def gap(a, b):
    """The gap.

    Args:
        a: One, such as "1 | 2"
            or `c`.
        b: Two.
    """
'''
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "index.md").write_text("# Book\n\n```{eval-rst}\n.. autofunction:: listed.gap\n```\n")
    built, warnings = build(tmp_path, monkeypatch)
    html = re.sub(r"<[^>]+>", "", (built / "index.html").read_text(encoding="utf-8"))
    assert warnings == ""
    assert "a – One, such as “1 | 2” or c." in html
    assert "b – Two." in html
