"""The report of a dataset as a page, made of sections like the report of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from convolve import __version__
from convolve.datasets.doctor import Findings
from convolve.datasets.survey import Survey
from convolve.errors import DataError
from convolve.files import check_replaceable
from convolve.marks import is_page
from convolve.reports.data_sections import (
    count_section,
    duplicate_section,
    headlines,
    image_section,
    left_out_section,
    warning_section,
)
from convolve.reports.report import Report, Section
from convolve.values import Dataset


def check_page(path: Path) -> None:
    """Raise `DataError` where a page would replace what is none, or is not called as one."""
    if path.suffix.casefold() not in (".html", ".htm"):
        raise DataError(f"{path} must be called .html, as pages are; rename it.")
    check_replaceable(path, is_page, "page that convolve wrote")


def data_report(dataset: Dataset, survey: Survey, findings: Findings, more: Sequence[Section]) -> Report:
    """The report of a dataset: warnings, classes, images, duplicates, what is left out, and ``more`` sections."""
    found = findings.exact.groups or findings.near.groups
    sections = (
        *((warning_section(findings),) if findings.warnings else ()),
        *((count_section(findings),) if findings.classes else ()),
        image_section(survey.measurements["size"][findings.usable], findings),
        *((duplicate_section(dataset, findings),) if found else ()),
        *((left_out_section(dataset.notes, findings),) if dataset.notes or findings.unreadable else ()),
        *more,
    )
    return Report(
        title=Path(dataset.root).name or dataset.root,
        subtitle=f"{dataset.root}: {dataset.layout} ({dataset.reason})",
        headlines=headlines(findings),
        sections=sections,
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )
