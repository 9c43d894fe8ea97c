"""What chapters show in a frame: calculations to step through, and three pages of the book's own.

A chapter has ``{player}`` blocks with a name: that of a worked example of `convolve scratch`, whose page is written
in both languages when the book is built, or of a page in ``pages``. All are self-contained and request nothing.
"""

from __future__ import annotations

import logging
import re
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = {"bowl": 480, "lenet5": 1250, "sliding": 480}
"""The book's own pages, and how many pixels high their frames are."""
EXAMPLES = {
    "mask": 760, "padding": 760, "stride": 820, "channels": 820, "max-pool": 760, "average-pool": 760, "affine": 760,
    "softmax": 760, "batchnorm": 820, "nms": 860, "transposed": 820, "gap": 760, "cam": 860, "confusion": 760,
    "ten-layers": 860, "layer-stack": 760, "batchnorm-graph": 900,
}  # fmt: skip
"""Worked examples of `convolve scratch`, and how many pixels high their frames are."""
_BLOCK = re.compile(r"^```\{player\} (\S+)$", re.MULTILINE)


def names_in(text: str) -> list[str]:
    """The players of a chapter, in its order."""
    return _BLOCK.findall(text)


def frame(name: str, document: str) -> str:
    """The HTML of a player within a document, such as `book/ko/pooling`. Raises `ValueError` for an unknown name."""
    heights = PAGES | EXAMPLES
    if name not in heights:
        raise ValueError(f"There is no player {name}; there are {', '.join(heights)}.")
    root = "../" * document.count("/")
    korean = document.startswith("book/ko/")
    file = f"{name}.html{'#ko' if korean else ''}" if name in PAGES else f"{name}{'.ko' if korean else ''}.html"
    address = f"{root}players/{escape(file)}"
    return (
        f'<iframe class="player" src="{address}" title="{escape(name)}" loading="lazy" '
        f'style="height: {heights[name]}px"></iframe>'
        f'<p class="player-link"><a href="{address}">↗ {escape(name)}</a></p>'
    )


def write(folder: Path, names: set[str]) -> None:
    """Write the pages of the named players into a folder; an unknown name is an error of its chapter already."""
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it says at length what it leaves out
    for name in sorted(names & (PAGES.keys() | EXAMPLES.keys())):
        path = folder / f"{name}.html"
        if name in PAGES:
            path.write_text(own_page(name), encoding="utf-8")
        else:
            import convolve

            convolve.scratch(example=name, page=path)
            convolve.scratch(example=name, page=folder / f"{name}.ko.html", language="ko")


def own_page(name: str) -> str:
    """A page of the book with its glyphs of Hangul, and the numbers of the JSON of the same name if there is one."""
    from convolve.fonts import embedded_font_css

    html = (HERE / "pages" / f"{name}.html").read_text(encoding="utf-8")
    html = html.replace("</head>", f"<style>{embedded_font_css(html)}</style>\n</head>", 1)
    numbers = HERE / "pages" / f"{name}.json"
    return html.replace("/*NETWORK*/null", numbers.read_text(encoding="utf-8").strip()) if numbers.exists() else html
