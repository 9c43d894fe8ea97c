"""The report on an export: what its task shows of an evaluation, and what its card says of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from convolve import __version__
from convolve.exports.card import ExportCard
from convolve.reports.report import Headline, Report, Section, fact_lists
from convolve.reports.sections import fact_section
from convolve.setup.exported import Export
from convolve.setup.run_report import measured_on
from convolve.tasks.task import Evaluation


def export_report(
    export: Export, evaluation: Evaluation, headlines: Sequence[Headline], sections: Sequence[Section]
) -> Report:
    """The report of one evaluation of an export."""
    card = export.card
    facts = fact_section("export", "Export", fact_lists(_facts(card, export)), card.notes, literal=True)
    return Report(
        title=f"{card.network} as an export",
        subtitle=measured_on(evaluation, len(card.classes)),
        headlines=tuple(headlines),
        sections=(*sections, facts),
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def _facts(card: ExportCard, export: Export) -> Mapping[str, object]:
    preprocessing = card.input
    return {
        "network": card.network,
        "title": card.title,
        "paper": card.paper,
        "parameters": f"{card.parameters:,}",
        "multiply_adds": f"{card.macs:,}",
        "input": f"{preprocessing.width}x{preprocessing.height}, {preprocessing.fit}",
        "file": card.main,
        "arithmetic": export.engine.precision,
        "written_by": f"convolve {card.convolve}",
        "source": {name: value for name, value in card.source.items() if value is not None},
    }
