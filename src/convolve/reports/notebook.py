"""A result as a notebook shows it: headlines, and the sections that have a part for notebooks, without any script."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from convolve.reports.assets import asset
from convolve.reports.page import render_part
from convolve.reports.report import Headline, Section


def notebook_html(headlines: Sequence[Headline], sections: Sequence[Section]) -> str:
    """An HTML element for `_repr_html_`. Its styles reach nothing outside of it, and it fetches nothing."""
    html = render_part(
        ("convolve.reports", "notebook.html.j2"),
        headlines=headlines,
        parts=[(part.title, render_part(part.notebook, **part.context)) for part in sections if part.notebook],
        style=Markup(asset("notebook.css")),  # noqa: S704 - the package's own file
    )
    return str(html)
