"""What a report consists of: headlines, an ordered list of sections, and how their values are written.

The page (`page.render`) knows no task. A section brings the template that renders it and the values for that template;
templates, a style sheet and a script lie in the folder `templates` of the package that the section names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from convolve.options import format_value

Template = tuple[str, str]
"""A package, such as `convolve.reports`, and a file of its folder `templates`."""


@dataclass(frozen=True)
class Headline:
    """A metric for the top of the page, ready to print: `accuracy`, `98.1 %`, `95 % interval 96.4 to 99.0`."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page under a title. ``context`` holds what ``template`` renders.

    ``anchor`` is its identifier in the page. ``notebook`` renders the same context where a notebook shows the result;
    a section without it is left out there.
    """

    anchor: str
    title: str
    template: Template
    context: Mapping[str, object]
    notebook: Template | None = None


@dataclass(frozen=True)
class Report:
    """A page: sections in their order, and a ``footer`` that names program and date."""

    title: str
    subtitle: str
    headlines: tuple[Headline, ...]
    sections: tuple[Section, ...]
    footer: str = ""


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured; ``metric`` is the monitored metric on the validation split."""

    number: int
    train_loss: float
    validation_loss: float | None = None
    metric: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Training:
    """The epochs in order, the title of the monitored metric, and the number of the best epoch."""

    epochs: tuple[Epoch, ...]
    monitored: str
    best: int | None = None


@dataclass(frozen=True)
class Fact:
    """A name and its value, and why it is so where it was chosen automatically."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class FactList:
    """Facts under a title."""

    title: str
    facts: tuple[Fact, ...]


def fact_lists(
    document: Mapping[str, object], title: str = "", reasons: Mapping[str, str] | None = None
) -> tuple[FactList, ...]:
    """A document as `options.to_sections` makes it, as lists: its own entries under ``title``, then one per table.

    ``reasons`` are looked up by `table.entry`, else by `entry`.
    """
    tables = {title: {name: value for name, value in document.items() if not isinstance(value, Mapping)}}
    tables |= {name: dict(value) for name, value in document.items() if isinstance(value, Mapping)}
    reasons = reasons or {}
    return tuple(
        FactList(
            _words(table),
            tuple(
                Fact(_words(name), format_value(value), reasons.get(f"{table}.{name}", reasons.get(name, "")))
                for name, value in entries.items()
            ),
        )
        for table, entries in tables.items()
        if entries
    )


def percent(fraction: float | None) -> str:
    """A fraction as `98.1 %`; a dash where there is none."""
    return "–" if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


def whole_percent(fraction: float) -> str:
    """A fraction in percent without decimals, in three characters; `<1` and `>99` for what is not quite 0 or 100."""
    number = round(100 * fraction)
    if number == 0 and fraction > 0:
        return "<1"
    return ">99" if number == 100 and fraction < 1 else str(number)


def format_interval(interval: tuple[float, float]) -> str:
    """A 95 % interval of a fraction as `95 % interval 86.2 to 96.9`."""
    low, high = (f"{100 * end:.1f}" for end in interval)
    return f"95\N{NO-BREAK SPACE}% interval {low} to {high}"


def thousands(count: int) -> str:
    """`1 234 567`, which does not wrap."""
    return f"{count:,}".replace(",", "\N{NO-BREAK SPACE}")


def format_count(count: int, unit: str) -> str:
    """A number of things, ``unit`` being their plural: `1 image`, `1 234 pixels`."""
    return f"{thousands(count)} {unit.removesuffix('s') if count == 1 else unit}"


def sentence_case(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
