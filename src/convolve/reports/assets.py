"""The files that pages are made of, and the environment that renders their templates."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from convolve.choices import Language
from convolve.errors import escape_text
from convolve.fonts import embedded_font_css
from convolve.reports.language import translate_page

_HOME = "convolve.reports"


def asset(name: str, package: str = _HOME) -> str:
    """The text of a style sheet or a script of a package's folder `templates`; empty where there is none."""
    file = importlib.resources.files(package) / "templates" / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def environment(filters: Mapping[str, Callable[..., str]]) -> Environment:
    """Templates that escape values and control characters, and refuse undefined ones, with a page's own ``filters``.

    A template is called `package/file`, such as `convolve.tasks.classify/calibration.html.j2`; `file` alone is one of
    this package.
    """
    result = Environment(
        loader=FunctionLoader(lambda name: asset(name.rpartition("/")[2], name.rpartition("/")[0] or _HOME) or None),
        autoescape=True,
        finalize=_printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    result.filters.update(filters)
    return result


def _printable(value: object) -> object:
    return escape_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def render_page(environment: Environment, template: str, language: Language = "en", /, **values: Any) -> str:
    """A page's HTML in a language, with the glyphs of its Hangul embedded: it needs no font of the machine that shows
    it.

    The page's Content-Security-Policy must allow `style-src 'unsafe-inline'; font-src data:`.
    """
    html = translate_page(environment.get_template(template).render(**values), language)
    fonts = embedded_font_css(html)
    return html.replace("</head>", f"<style>{fonts}</style>\n</head>", 1) if fonts else html


def script_digest(script: str) -> str:
    """The SHA-256 by which a page's content security policy admits its own script and no other, in base64."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
