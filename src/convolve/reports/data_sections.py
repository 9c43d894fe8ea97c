"""Sections on a dataset: classes, images, duplicates side by side, what is left out, and what a network will see."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image

from convolve.datasets.cleaning import RULES, Cleaned
from convolve.datasets.doctor import Duplicate, DuplicateGroup, Duplicates, Findings
from convolve.errors import ImageError
from convolve.reports.report import Fact, FactList, Headline, Section, format_count, thousands
from convolve.reports.sections import fact_section
from convolve.reports.thumbnails import thumbnail
from convolve.values import Dataset, Indices

_HOME = "convolve.reports"
_GROUPS = 40
_MEMBERS = 8
_SIDE = 128
_FREQUENT_SIZES = 8
_FILES = 500
_ALL = "all"


@dataclass(frozen=True)
class Column:
    """A column of the table of classes: ``values`` (C,), how long a bar each has, in percent of the longest, and what
    there is of all classes.
    """

    heading: str
    values: tuple[int, ...]
    total: int

    @property
    def bars(self) -> list[float]:
        """(C,) from 0 to 100."""
        most = max(self.values, default=0)
        return [100 * value / max(most, 1) for value in self.values]


@dataclass(frozen=True)
class Member:
    """An image of a group of duplicates as a data URI, empty where it cannot be read again."""

    duplicate: Duplicate
    image: str


@dataclass(frozen=True)
class Group:
    """A group of duplicates with its images side by side."""

    group: DuplicateGroup
    members: tuple[Member, ...]

    @property
    def splits(self) -> str:
        """The splits that it is in, such as `train and test`."""
        return " and ".join(dict.fromkeys(member.duplicate.split for member in self.members if member.duplicate.split))


@dataclass(frozen=True)
class Kind:
    """Duplicates of one kind under a title, of which ``groups`` are shown."""

    title: str
    duplicates: Duplicates
    groups: tuple[Group, ...]


def headlines(findings: Findings) -> tuple[Headline, ...]:
    """The numbers worth the top of the page."""
    groups = [*findings.exact_rows, *findings.near_rows]
    alike = len(np.unique(np.concatenate(groups))) if groups else 0
    splits = [f"{thousands(size)} {name}" for name, size in findings.split_sizes.items() if name != _ALL]
    leaks = (("exact leaks", findings.exact), ("near leaks", findings.near))
    return (
        Headline("images", thousands(len(findings.usable)), ", ".join(splits) or "no splits given"),
        Headline("classes", thousands(len(findings.classes)), f"largest {findings.imbalance:.3g} times the smallest"),
        Headline("duplicates", thousands(alike), "images that others are equal or nearly equal to"),
        *(Headline(name, value, "") for name, value in findings.facts.items()),
        *(
            Headline(label, thousands(each.leaks), f"across splits, of {format_count(each.groups, 'groups')}")
            for label, each in leaks
        ),
        Headline("unreadable", thousands(len(findings.unreadable)), "files, which are left out"),
    )


def warning_section(findings: Findings) -> Section:
    """What is wrong with the remedy, most important first. (Without warnings the page has no such section.)"""
    return fact_section("warnings", "What to do first", (), findings.warnings)


def count_section(findings: Findings) -> Section:
    """How many images of each class there are in each split."""
    counts = [
        Column("Images" if name == _ALL else name, values, findings.split_sizes[name])
        for name, values in findings.counts.items()
    ]
    totals = [Column(name, values, sum(values)) for name, values in findings.totals.items()]
    context = {"names": findings.classes, "columns": [*counts, *totals], "missing": findings.missing}
    return Section("classes", "Classes", (_HOME, "counts.html.j2"), context)


def image_section(sizes: Indices, findings: Findings) -> Section:
    """Sizes, given those (N, 2) of the readable images (height, width), and statistics of the channels."""
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_FREQUENT_SIZES]
    frequent = [
        Fact(f"{width} × {height}", format_count(int(count), "images"))
        for (height, width), count in zip(distinct[order].tolist(), counts[order], strict=True)
    ]
    sides = [
        Fact(name, f"{least} to {most}", f"median {median}")
        for name, (least, median, most) in (("Width", findings.sizes.width), ("Height", findings.sizes.height))
    ]
    several = "Most frequent sizes" if len(distinct) > len(order) else "Sizes"
    statistics = (("Mean", findings.mean), ("Standard deviation", findings.std))
    lists = (
        FactList("Pixels", (*sides, Fact("Distinct sizes", thousands(findings.sizes.distinct)))),
        FactList(several, tuple(frequent)),
        FactList(
            "Channels",
            (
                Fact("Color", "gray" if findings.channels == 1 else "color", f"{thousands(findings.gray)} are gray"),
                *(Fact(name, ", ".join(f"{value:.3f}" for value in values)) for name, values in statistics),
                Fact("Of a single color", format_count(findings.blank, "images")),
            ),
        ),
    )
    return fact_section("images", "Images", lists)


def duplicate_section(dataset: Dataset, findings: Findings) -> Section:
    """Groups of duplicates with their images side by side, leaks and different labels first."""
    kinds = []
    for title, duplicates, rows in (
        ("Exact duplicates", findings.exact, findings.exact_rows),
        ("Near duplicates", findings.near, findings.near_rows),
    ):
        indices = {dataset.images.name(index): index for group in rows for index in group.tolist()}
        groups = []
        for group in duplicates.examples[:_GROUPS]:
            shown = group.members[:_MEMBERS]
            members = [Member(each, _read(dataset, indices[each.name])) for each in shown]
            groups.append(Group(group, tuple(members)))
        kinds.append(Kind(title, duplicates, tuple(groups)))
    context = {"kinds": [kind for kind in kinds if kind.groups]}
    return Section("duplicates", "Duplicates and leaks", (_HOME, "duplicates.html.j2"), context)


def left_out_section(notes: Sequence[str], findings: Findings) -> Section:
    """What was not taken as data, and which files cannot be read, with the reason."""
    context = {
        "notes": notes,
        "unreadable": findings.unreadable[:_FILES],
        "more": max(0, len(findings.unreadable) - _FILES),
    }
    return Section("left-out", "Left out", (_HOME, "left_out.html.j2"), context)


def cleaned_section(cleaned: Cleaned) -> Section:
    """The table that was written, and why images are not in it."""
    lists = (
        FactList("Images", tuple(Fact(name, thousands(count)) for name, count in cleaned.images.items())),
        FactList("Left out", tuple(Fact(reason, thousands(count)) for reason, count in cleaned.left_out.items())),
        FactList("Origin", (Fact("File", str(cleaned.table)), Fact("Splits", cleaned.origin))),
    )
    lost = [f"No image of {', '.join(cleaned.lost_classes)} is left."] if cleaned.lost_classes else []
    context = {"lists": [each for each in lists if each.facts], "warnings": lost, "rules": RULES, "literal": False}
    return Section("cleaned", "Cleaned table", (_HOME, "cleaned.html.j2"), context)


def sheet_section(sheet: Image.Image) -> Section:
    """What a network will see of the first images, after augmentation."""
    context = {"sheet": thumbnail(np.asarray(sheet), max(sheet.size))}
    return Section("sheet", "What a network sees", (_HOME, "contact_sheet.html.j2"), context)


def _read(dataset: Dataset, index: int) -> str:
    with suppress(ImageError):
        return thumbnail(dataset.images.read(index, at_least=_SIDE), _SIDE)
    return ""
