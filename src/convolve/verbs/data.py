"""`convolve data`: a dataset examined before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.progress import Listener
from convolve.verbs.verb import Verb
from convolve.words import Fit, TaskName

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.datasets.findings import Copies, Findings
    from convolve.values import Dataset

_SHOWN_CLASSES = 40
_SHOWN_GROUPS = 5


@dataclass(frozen=True)
class Data:
    """Examine a dataset: layout, classes, sizes, broken files, copies and leaks between its splits."""

    path: str
    """Folder, file, or named set such as digits."""
    _: KW_ONLY
    task: TaskName | None = None
    """Which truth to look at, where there are labels and masks."""
    sheet: Path | None = None
    """Draw what a network will see, after augmentation, into this PNG."""
    network: str = "resnet18"
    """Network whose training the sheet shows."""
    size: int | None = None
    """Side in pixels of what it sees; by default as in training."""
    fit: Fit | None = None
    """How a picture meets that square: crop, letterbox, stretch or, with masks, tiles; by default as in training."""


@dataclass(frozen=True)
class Examined:
    """The dataset, what the doctor found, and where the contact sheet is, if one was asked for."""

    dataset: Dataset
    findings: Findings
    sheet: Path | None

    def as_json(self) -> dict[str, Any]:
        """`path`, `layout`, `reason` and `sheet`, then the findings."""
        from convolve.datasets.findings import as_json

        return {
            "path": self.dataset.root,
            "layout": self.dataset.layout,
            "reason": self.dataset.reason,
            "sheet": str(self.sheet) if self.sheet else None,
            **as_json(self.findings),
        }


def run(options: Data, listener: Listener) -> Examined:
    """Look at every image once. Raises `DataError` when the layout is unknown or too much of it is broken."""
    del listener
    from convolve.datasets.doctor import diagnose
    from convolve.datasets.layouts import open_dataset
    from convolve.datasets.survey import survey

    dataset = open_dataset(options.path, options.task)
    seen = survey(dataset.images)
    findings = diagnose(dataset, None, seen)
    if options.sheet:
        from convolve.tasks.task import find
        from convolve.training.recipe import Recipe
        from convolve.verbs.looking import draw_sheet
        from convolve.verbs.preparing import preview, task_of

        recipe = Recipe(task=options.task, network=options.network, size=options.size, fit=options.fit)
        kind = find(task_of(recipe, dataset))
        draw_sheet(options.sheet, kind, dataset, *preview(recipe, dataset, seen, findings))
    return Examined(dataset, findings, options.sheet)


def shown(result: Examined) -> Iterator[RenderableType]:
    """The layout and why, a table of classes, sizes, and what is wrong with the remedy."""
    from rich.text import Text

    dataset, findings = result.dataset, result.findings
    height, width = findings.sizes.height, findings.sizes.width
    yield Text(f"{dataset.root}: {dataset.layout} ({dataset.reason})")
    yield _classes(findings)
    colors = "gray" if findings.channels == 1 else "color"
    yield (
        f"{len(findings.usable):,} readable images, {colors}; width {width[0]} to {width[2]} (median {width[1]}), "
        f"height {height[0]} to {height[2]} (median {height[1]})"
    )
    figures = ("channel mean", findings.mean), ("deviation", findings.std)
    yield "; ".join(f"{name} {', '.join(f'{value:.3f}' for value in values)}" for name, values in figures)
    for broken in findings.unreadable:
        yield Text(f"left out: {broken.reason}", style="yellow")
    yield from _copies("exact copies", findings.exact)
    yield from _copies("near copies", findings.near)
    for sentence in findings.warnings:
        yield Text(f"! {sentence}", style="bold yellow")
    if result.sheet:
        yield f"contact sheet  {result.sheet}"


def _classes(findings: Findings) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table("class", box=None, header_style="bold")
    for split in findings.counts:
        table.add_column("images" if split == "all" else split, justify="right")
    if findings.pixels:
        table.add_column("pixels", justify="right")
    shares = [f"{count / max(sum(findings.pixels), 1):.2%}" for count in findings.pixels]
    for place, name in enumerate(findings.classes[:_SHOWN_CLASSES]):
        numbers = (f"{counts[place]:,}" for counts in findings.counts.values())
        table.add_row(Text(name), *numbers, *shares[place : place + 1])
    if len(findings.classes) > _SHOWN_CLASSES:
        table.add_row(f"and {len(findings.classes) - _SHOWN_CLASSES} more")
    table.add_row("all", *(f"{sum(counts):,}" for counts in findings.counts.values()), style="bold")
    return table


def _copies(kind: str, copies: Copies) -> Iterator[RenderableType]:
    from rich.text import Text

    if not copies.groups:
        return
    yield f"{kind}: {copies.groups:,} groups, {copies.leaks:,} across splits, {copies.conflicts:,} with other labels"
    for group in copies.shown[:_SHOWN_GROUPS]:
        names = ", ".join(f"{member.name} ({member.label})" for member in group.members[:4])
        yield Text(f"  {group.count}: {names}", style="dim")


VERB = Verb(Data, run, shown)
