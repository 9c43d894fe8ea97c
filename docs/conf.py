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
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
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
    app.connect("html-page-context", say_language)
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
    marked = (line if line.startswith("    ") else _MARKUP.sub(_mark, line) for line in lines)
    lines[:] = _INDENTED.sub(r"\1\n\n::\n\n\2", "\n".join(marked)).split("\n")


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


def say_language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Say which pages are Korean, for their fonts, line breaks and readers' voices."""
    del app, template, doctree
    if page.startswith("book/ko/") or page.endswith(".ko"):
        context["language"] = "ko"


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
