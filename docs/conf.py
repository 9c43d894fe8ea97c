"""How Sphinx builds the book: Markdown in two languages, code quoted from the source, formulas as MathML.

`make docs` writes docs/_build/index.html. The figures are drawn first (`book/figures.py`), so that none can be out
of date. The pages fetch nothing: no fonts, no scripts but their own, and formulas that the browser itself sets.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from furo.navigation import get_navigation_tree  # type: ignore[import-untyped]
from latex2mathml.converter import convert
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs" / "book"))

project = html_title = "convolve"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
exclude_patterns = ["_build"]
highlight_language = "python"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in signatures: no pages of PyTorch and NumPy to link to
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    **{name: name for name in ("BoxArray", "Flags", "Floats", "Fractions", "Indices", "Layer", "Pixels", "Scores")},
    "npt.ArrayLike": "ArrayLike",
}
html_theme = "furo"
html_static_path = ["book/static", "../src/convolve/fonts/ConvolveGothic-Regular.ttf"]
html_css_files = ["book.css"]
html_math_renderer = "mathml"
html_copy_source = html_show_copyright = html_show_sphinx = False

LANGUAGES = {"en": "English", "ko": "한국어"}
THEME_IN_KOREAN = {
    "Search": "검색",
    "On this page": "이 페이지에서",
    "Next": "다음",
    "Previous": "이전",
    "Home": "처음",
    "Back to top": "맨 위로",
    "Skip to content": "본문으로",
}
"""What the theme writes around a page."""
_MARKUP = re.compile(r"`+[^`]+`+|\|")
_INDENTED = re.compile(r"(^\S[^\n]*)\n\n(    \S)", re.MULTILINE)
_logger = logging.getLogger(__name__)
_BRACKETED = re.compile(r"<mo>&#x0005B;</mo><mtable>(.*?)</mtable><mo>&#x0005D;</mo>", re.DOTALL)
_BRACE = '<mo stretchy="true" fence="true" form="prefix">&#x0007B;</mo><mtable>'
_NAMED = re.compile(r"<mi>(log|ln|exp|tanh|sin|cos)</mi>(?!<mo)")
_LEFT_OVER = re.compile(r"<m[ion]>(\\[^<]*|&)</m[ion]>")


def setup(app: Sphinx) -> None:
    """Hook the steps below into Sphinx."""
    app.connect("config-inited", draw_figures)
    app.connect("source-read", show_notebook)
    app.connect("autodoc-process-docstring", mark_code)
    app.connect("doctree-read", name_sources)
    app.connect("doctree-resolved", inline_drawings)
    app.connect("doctree-resolved", add_language_switch)
    app.connect("html-page-context", set_language, priority=900)  # after the theme, whose navigation it replaces
    app.connect("build-finished", write_players)
    app.add_directive("player", Player)
    app.add_html_math_renderer("mathml", (inline_formula, None), (displayed_formula, None))


def draw_figures(app: Sphinx, config: object) -> None:
    """Draw the book's figures before anything is read."""
    del app, config
    import figures

    figures.write()


def show_notebook(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn a notebook into Markdown: its text, and its code as blocks, with a link to the file after the title."""
    path = Path(app.env.doc2path(name))
    if path.suffix == ".ipynb":
        cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(source[0])["cells"]]
        parts = [text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells]
        title, _, rest = parts[0].partition("\n")
        source[0] = "\n\n".join([title, f"{{download}}`{path.name}`", rest, *parts[1:]])


def mark_code(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings as this code writes them, for Sphinx: `name` is code, |x| a magnitude, and an indented block code."""
    del app, what, name, obj, options
    listed = list_arguments(lines)
    marked = (line if line.startswith("    ") else _MARKUP.sub(_mark, line) for line in listed)
    lines[:] = _INDENTED.sub(r"\1\n\n::\n\n\2", "\n".join(marked)).split("\n")


def list_arguments(lines: list[str]) -> list[str]:
    """A docstring whose section ``Args:`` is Sphinx's list of parameters, each on one line."""
    if "Args:" not in lines:
        return lines
    start = lines.index("Args:") + 1
    end = next((n for n in range(start, len(lines)) if lines[n] and not lines[n].startswith("    ")), len(lines))
    listed: list[str] = []
    for line in lines[start:end]:
        if line.startswith(" " * 8):
            listed[-1] += f" {line.strip()}"
        elif line.strip():
            listed.append(f":param {line.strip()}")
    return [*lines[: start - 1], *listed, "", *lines[end:]]


def _mark(found: re.Match[str]) -> str:
    return r"\|" if found[0] == "|" else f"``{found[0].strip('`')}``"


def name_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Put the file that a quotation comes from above it."""
    del app
    for block in list(doctree.findall(nodes.literal_block)):
        if "source" in block:
            path = Path(block["source"]).resolve().relative_to(ROOT).as_posix()
            block.parent.insert(block.parent.index(block), nodes.paragraph("", path, classes=["quoted-from"]))


def inline_drawings(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Put SVG drawings into the page itself, so that their colors follow its light and dark."""
    del name
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg":
            width = float(re.findall(r'viewBox="0 0 ([\d.]+) ', path.read_text(encoding="utf-8"))[0]) * 4 / 3
            attributes = f'role="img" aria-label="{_quoted(image.get("alt", ""))}"'
            svg = path.read_text(encoding="utf-8").replace("<svg", f"<svg {attributes}", 1)
            html = f'<span class="drawing" style="--width: {width:.0f}px">{svg}</span>'
            image.replace_self(nodes.raw("", html, format="html"))


def page_language(name: str) -> str:
    """The language of a page, by its name."""
    return "ko" if name.startswith("book/ko/") or name.endswith(".ko") else "en"


def page_twin(name: str) -> str:
    """The name of a page in the other language."""
    if name.startswith("book/"):
        _, language, chapter = name.split("/")
        return f"book/{'en' if language == 'ko' else 'ko'}/{chapter}"
    return name.removesuffix(".ko") if name.endswith(".ko") else f"{name}.ko"


def add_language_switch(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Put a switch of languages above the title, to the same page or else the front page, for the link below."""
    language, pages = page_language(name), app.env.found_docs
    other = page_twin(name) if page_twin(name) in pages else "index" if language == "ko" else "index.ko"
    if name not in pages or other not in pages:
        return
    first = next(iter(doctree.findall(nodes.paragraph)), None)
    if first and first.astext() in LANGUAGES.values():
        first.parent.remove(first)
    switch = nodes.paragraph(classes=["language"])
    for code, title in LANGUAGES.items():
        link = nodes.reference("", title, refuri=app.builder.get_relative_uri(name, other), internal=True)
        switch += nodes.inline("", title) if code == language else link
    next(iter(doctree.findall(nodes.section))).insert(0, switch)


def set_language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Say which pages are Korean, for fonts, line breaks and readers' voices; a page lists those of its language."""
    del template, doctree
    language = page_language(page)
    front = "index.ko" if language == "ko" else "index"
    if language == "ko":
        context["language"] = "ko"
        context["gettext"] = context["_"] = lambda text: THEME_IN_KOREAN.get(text, text)
    if "index.ko" not in app.env.found_docs:
        return
    context["master_doc"] = front
    context["furo_navigation_tree"] = navigation(app, page, front)
    neighbors = app.builder.relations.get(page, (None, None, None))[1:]  # type: ignore[attr-defined]
    for key, neighbor in zip(("prev", "next"), neighbors, strict=True):
        if neighbor and page_language(neighbor) != language:
            context[key] = None


def navigation(app: Sphinx, page: str, front: str) -> str:
    """The sidebar's list of pages, from the front page of one language."""
    parts = []
    for toctree in app.env.get_doctree(front).findall(addnodes.toctree):
        if "index.ko" not in toctree["includefiles"]:
            tree = app.env.resolve_toctree(
                page, app.builder, toctree, maxdepth=-1, titles_only=True, includehidden=True
            )
            parts.append(app.builder.render_partial(tree)["fragment"])  # type: ignore[attr-defined]
    return str(get_navigation_tree("".join(parts)))


class Player(SphinxDirective):
    """A frame with a calculation to step through, or another page of `book/players.py`, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The frame, or an error that names the players there are."""
        import players

        try:
            html = players.frame(self.arguments[0], self.env.docname)
        except ValueError as error:
            raise self.error(str(error)) from None
        return [nodes.raw("", html, format="html")]


def write_players(app: Sphinx, exception: Exception | None) -> None:
    """Write the pages that the chapters' frames show."""
    import players

    if exception is None and app.builder.name == "html":
        texts = (Path(app.env.doc2path(name)).read_text(encoding="utf-8") for name in app.env.found_docs)
        players.write(Path(app.outdir, "players"), {name for text in texts for name in players.names_in(text)})


def inline_formula(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula within a line."""
    translator.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def displayed_formula(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own, which may be scrolled where the page is narrow."""
    translator.body.append(f'<div class="formula">{mathml(node, "block")}</div>')
    raise nodes.SkipNode


def mathml(node: nodes.Element, display: str) -> str:
    """A formula's LaTeX as MathML, brackets marked for book.css; warns of what latex2mathml leaves as it is."""
    html = convert(node.astext(), display=display)
    for unknown in _LEFT_OVER.findall(html):
        _logger.warning("latex2mathml does not know %s", unknown, location=node)
    html = _NAMED.sub(r'\g<0><mspace width="0.17em"/>', html)
    html = html.replace(_BRACE, _BRACE.replace("<mo", '<mo class="brace"', 1))
    return _BRACKETED.sub(r'<mtable class="bracketed">\1</mtable>', html)


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
