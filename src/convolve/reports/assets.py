"""The files that the pages are made of, and how their templates are set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from convolve.fonts import embedded_font_css


def asset(name: str) -> str:
    """The text of a style sheet or a script."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def environment(filters: Mapping[str, Callable[..., str]]) -> Environment:
    """Templates that escape what they are given and refuse what they are not given, with a page's own ``filters``."""
    found = Environment(
        loader=PackageLoader("convolve", "reports/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(filters)
    return found


def render_page(environment: Environment, template: str, /, **values: Any) -> str:
    """A page's HTML, with the glyphs of its Hangul embedded: it needs no font of the machine that shows it.

    The page's Content-Security-Policy must allow `style-src 'unsafe-inline'; font-src data:`.
    """
    html = environment.get_template(template).render(**values)
    fonts = embedded_font_css(html)
    return html.replace("</head>", f"<style>{fonts}</style>\n</head>", 1) if fonts else html
