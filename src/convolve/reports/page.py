"""The report as one self-contained HTML file: nothing is fetched, and no script but its own may run."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from convolve.choices import Language
from convolve.files import write_bytes
from convolve.reports.assets import asset, environment, render_page, script_digest
from convolve.reports.report import Report, Template, percent, sentence_case, thousands

_HOME = "convolve.reports"


def write_report(path: Path, report: Report, language: Language = "en") -> None:
    """Write the page as UTF-8 beside ``path`` and rename it. Raises `ConvolveError` when it cannot be written."""
    write_bytes(path, render(report, language).encode("utf-8", "replace"))


def render(report: Report, language: Language = "en") -> str:
    """The page's HTML, in a language.

    Each package that a section's template comes from may bring a `report.css` and a `report.js`. The scripts of other
    packages run before this package's own, so that they hear its first `cellselect`.
    """
    packages = [_HOME, *sorted({section.template[0] for section in report.sections} - {_HOME})]
    style = asset("image_card.css") + "".join(asset("report.css", package) for package in packages)
    script = "".join(asset("report.js", package) for package in reversed(packages))
    return render_page(
        page_environment(),
        "report.html.j2",
        language,
        report=report,
        bodies={section.anchor: render_part(section.template, **section.context) for section in report.sections},
        style=Markup(style),  # noqa: S704 - the packages' own files
        script=Markup(script),  # noqa: S704 - the packages' own files
        digest=script_digest(script),
    )


def render_part(template: Template, **context: object) -> Markup:
    """The HTML that a template makes of its context."""
    package, file = template
    html = page_environment().get_template(f"{package}/{file}").render(**context)
    return Markup(html)  # noqa: S704 - the template escapes its values


@functools.cache
def page_environment() -> Environment:
    """The templates of reports, with the filters `percent`, `sentence_case` and `thousands`."""
    return environment({"percent": percent, "sentence_case": sentence_case, "thousands": thousands})
