"""`convolve data`: a dataset examined before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import Fit, Language
from convolve.command import Command
from convolve.datasets.reading import ReadingOptions
from convolve.errors import OptionError
from convolve.options import Flat, PathLike, TaskOptions
from convolve.progress import Listener

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.datasets.cleaning import Cleaned
    from convolve.datasets.doctor import Duplicates, Findings
    from convolve.tasks.task import TaskFindings
    from convolve.values import Dataset
    from convolve.verbs.data.label_errors import JudgedLabels

_SHOWN_CLASSES = 40
_SHOWN_GROUPS = 5


@dataclass(frozen=True)
class Data:
    """Examine a dataset: layout, classes, image sizes, broken files, duplicates and leaks between splits."""

    path: Annotated[str, PathLike()]
    """Folder, file, or built-in dataset such as digits."""
    _: KW_ONLY
    reading: Annotated[ReadingOptions, Flat, Parameter(group="Reading data")] = field(default_factory=ReadingOptions)
    task: str | None = None
    """Task whose annotations to examine, where there are labels and masks; by default the most specific ones."""
    fix: Path | None = None
    """Write a cleaned table (.csv) to train from: of exact copies with one label one stays (test before validation
    before train), those with different labels go, near duplicates stay in one split, unreadable images are left out,
    and missing splits are drawn."""
    sheet: Path | None = None
    """Write a PNG of what a network will see, after augmentation."""
    report: Path | None = None
    """Write a page (.html) with all that was found, duplicates side by side, and the contact sheet."""
    language: Language | None = None
    """Language of the page: en or ko (default: en)."""
    network: str = "resnet18"
    """Network whose training the contact sheet shows."""
    size: int | None = None
    """Height and width of its input in pixels; by default as in training."""
    fit: Fit | None = None
    """How an image is fitted to the input: crop, letterbox, stretch or, for segmentation, tiles; by default as in
    training."""
    label_errors: bool = False
    """List labels that are likely wrong; PATH is then a run, or a folder of folds, whose data is examined."""
    folds: int = 5
    """For label errors, how many folds to train by the recipe of a single run; with 1 none, and only the images that
    the run has not learned from are judged."""
    csv: Path | None = None
    """Also write the label errors to this file."""
    task_options: TaskOptions = field(default_factory=dict)
    """Options of the task's own."""


@dataclass(frozen=True)
class Examined:
    """The dataset, the ground truth that was examined, the findings, the data's fingerprint, and the contact sheet, the
    cleaned table, the page, the likely label errors and the task's own findings, if requested.
    """

    dataset: Dataset
    ground_truth: str
    findings: Findings
    fingerprint: str
    sheet: Path | None
    cleaned: Cleaned | None
    report: Path | None
    label_errors: JudgedLabels | None = None
    task_findings: TaskFindings | None = None

    def as_json(self) -> dict[str, Any]:
        """What was written and recognized, then the findings; `label_errors` if requested."""
        from convolve.datasets.doctor import as_json

        return {
            "path": self.dataset.root,
            "layout": self.dataset.layout,
            "reason": self.dataset.reason,
            "notes": list(self.dataset.notes),
            "fingerprint": self.fingerprint,
            "sheet": str(self.sheet) if self.sheet else None,
            "report": str(self.report) if self.report else None,
            "cleaned": self.cleaned.as_json() if self.cleaned else None,
            **as_json(self.findings),
            **({"label_errors": self.label_errors.as_json()} if self.label_errors else {}),
            **(self.task_findings.as_json() if self.task_findings else {}),
        }

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Data, listener: Listener) -> Examined:
    """Read every image once. Raises `DataError` when the layout is unknown or too much of it is broken, `RunError` for
    label errors without a run.
    """
    from convolve import models
    from convolve.datasets.cleaning import check_table, clean
    from convolve.datasets.doctor import diagnose, fingerprint
    from convolve.datasets.survey import survey
    from convolve.setup.data_report import data_report
    from convolve.setup.prepare import open_for_task
    from convolve.setup.preview import preview
    from convolve.tasks.registry import build_options, find_task
    from convolve.training.recipe import Recipe

    _check_output(options)
    judged = None
    if options.label_errors:
        if options.task_options:
            raise OptionError("Label errors are of labels alone; leave out the options of tasks.")
        judged = _judge_labels(options, listener)
        trained = judged.recipe
        options = replace(options, path=trained.data or "", task=trained.task, reading=trained.reading)
    elif options.csv:
        raise OptionError("--csv writes label errors; give --label-errors too, or --fix for a table of the images.")
    shown = Recipe(network=options.network, size=options.size, fit=options.fit)
    recipe = replace(shown, data=options.path, task=options.task, reading=options.reading)
    dataset, task, _ = open_for_task(recipe, None)
    own = build_options(task.name, "data", options.task_options)
    dataset = dataset.for_ground_truth(task.ground_truth)
    ground_truth = dataset.ground_truths[task.ground_truth]
    if options.fix:
        check_table(options.fix, dataset, ground_truth)
    measured = survey(dataset.images, listener=listener)
    findings = diagnose(dataset, ground_truth, None, measured, task.imbalance_remedy, listener)
    identity = fingerprint(dataset, ground_truth, findings.usable, measured.digests)
    cleaned = clean(options.fix, dataset, ground_truth, findings) if options.fix else None
    examined = Examined(dataset, task.ground_truth, findings, identity, options.sheet, cleaned, options.report, judged)
    if not (options.sheet or options.report or options.task_options):
        return examined
    network = models.counterpart(options.network, task.output) or options.network
    batches, preprocessing = preview(replace(recipe, network=network), dataset, task.name, measured, findings)
    found = find_task(task.name).examine(dataset, preprocessing, own)
    if options.sheet or options.report:
        from convolve.files import link_target
        from convolve.reports.data_sections import cleaned_section, sheet_section
        from convolve.reports.page import write_report
        from convolve.setup.contact_sheet import write_contact_sheet

        file = link_target(options.sheet) if options.sheet else None
        sheet = write_contact_sheet(file, ground_truth, batches, preprocessing)
        if options.report:
            of_task = found.sections() if found else ()
            more = (*of_task, *((cleaned_section(cleaned),) if cleaned else ()), sheet_section(sheet))
            report = data_report(dataset, measured, findings, more)
            write_report(link_target(options.report), report, options.language or "en")
    return replace(examined, task_findings=found)


def render(result: Examined) -> Iterator[RenderableType]:
    """The layout and why, a table of classes, sizes, and what is wrong with the remedy."""
    from rich.text import Text

    dataset, findings = result.dataset, result.findings
    height, width = findings.sizes.height, findings.sizes.width
    yield Text(f"{dataset.root}: {dataset.layout} ({dataset.reason})")
    for note in dataset.notes:
        yield Text(f"note: {note}", style="yellow")
    if findings.classes:
        yield _class_table(findings)
    if findings.facts:
        yield "; ".join(f"{name}: {value}" for name, value in findings.facts.items())
    colors = "gray" if findings.channels == 1 else "color"
    yield (
        f"{len(findings.usable):,} readable images, {colors}; width {width[0]} to {width[2]} (median {width[1]}), "
        f"height {height[0]} to {height[2]} (median {height[1]})"
    )
    statistics = ("channel mean", findings.mean), ("standard deviation", findings.std)
    yield "; ".join(f"{name} {', '.join(f'{value:.3f}' for value in values)}" for name, values in statistics)
    for broken in findings.unreadable:
        yield Text(f"skipped: {broken.reason}", style="yellow")
    yield from _duplicates("exact duplicates", findings.exact)
    yield from _duplicates("near duplicates", findings.near)
    for sentence in findings.warnings:
        yield Text(f"! {sentence}", style="bold yellow")
    if result.task_findings:
        yield from result.task_findings.to_console()
    yield from _outputs(result)


def _outputs(result: Examined) -> Iterator[RenderableType]:
    from rich.text import Text

    if result.sheet:
        yield f"contact sheet  {result.sheet}"
    if result.report:
        yield Text(f"report  {result.report}")
    if result.cleaned:
        yield from _cleaned(result.cleaned)
    if result.label_errors:
        from convolve.verbs.data import label_errors

        yield from label_errors.render(result.label_errors)


def _check_output(options: Data) -> None:
    """Raise `ConvolveError` where the page or the contact sheet cannot be written, or there is no page."""
    from convolve.files import check_replaceable
    from convolve.marks import has_mark
    from convolve.setup.data_report import check_page

    if options.report:
        check_page(options.report)
    elif options.language and not options.label_errors:
        raise OptionError("language is that of the page; add --report, or omit --language.")
    if options.sheet:
        check_replaceable(options.sheet, has_mark, "contact sheet that convolve wrote")


def _judge_labels(options: Data, listener: Listener) -> JudgedLabels:
    from convolve.verbs.data.label_errors import judge_labels

    if options.reading != ReadingOptions():
        raise OptionError("A run's data is read as its recipe says; give --label-errors without options of reading.")
    return judge_labels(Path(options.path), options.folds, listener, options.csv, options.language or "en")


def _class_table(findings: Findings) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table("class", box=None, header_style="bold")
    for split in findings.counts:
        table.add_column("images" if split == "all" else split, justify="right")
    for name in findings.totals:
        table.add_column(name, justify="right")
    columns = [
        [f"{count / max(sum(counts), 1):.2%}" if name in findings.fractions else f"{count:,}" for count in counts]
        for name, counts in findings.totals.items()
    ]
    for index, name in enumerate(findings.classes[:_SHOWN_CLASSES]):
        counts_by_split = (f"{counts[index]:,}" for counts in findings.counts.values())
        table.add_row(Text(name), *counts_by_split, *(column[index] for column in columns))
    if len(findings.classes) > _SHOWN_CLASSES:
        table.add_row(f"and {len(findings.classes) - _SHOWN_CLASSES} more")
    sums = ("" if name in findings.fractions else f"{sum(counts):,}" for name, counts in findings.totals.items())
    table.add_row("all", *(f"{size:,}" for size in findings.split_sizes.values()), *sums, style="bold")
    return table


def _duplicates(kind: str, duplicates: Duplicates) -> Iterator[RenderableType]:
    from rich.text import Text

    if not duplicates.groups:
        return
    groups = f"{duplicates.groups:,} group{'s' if duplicates.groups != 1 else ''}"
    counts = f"{duplicates.leaks:,} across splits, {duplicates.conflicts:,} with different labels"
    yield f"{kind}: {groups}, {counts}"
    for group in duplicates.examples[:_SHOWN_GROUPS]:
        names = ", ".join(f"{member.name} ({member.label})" for member in group.members[:4])
        yield Text(f"  {group.count}: {names}", style="dim")


def _cleaned(cleaned: Cleaned) -> Iterator[RenderableType]:
    from rich.text import Text

    from convolve.datasets.cleaning import RULES

    parts = ", ".join(f"{count:,} {name}" for name, count in cleaned.images.items())
    yield Text(f"cleaned table  {cleaned.table}: {sum(cleaned.images.values()):,} images ({parts}; {cleaned.origin})")
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in cleaned.left_out.items())
    yield Text(f"left out: {left_out or 'nothing'}")
    yield Text(f"rules: {'; '.join(RULES)}", style="dim")
    if cleaned.lost_classes:
        yield Text(f"! No image of {', '.join(cleaned.lost_classes)} is left.", style="bold yellow")


COMMAND = Command(Data, run, render, task_use="data")
