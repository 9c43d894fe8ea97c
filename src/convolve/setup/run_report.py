"""The report of a run: what its task shows of an evaluation, and what every run has."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from convolve import __version__
from convolve.options import to_sections
from convolve.reports.page import write_report
from convolve.reports.report import Epoch, Headline, Report, Section, Training, count_of, fact_lists
from convolve.reports.sections import fact_section, training_section
from convolve.tasks.registry import find_task
from convolve.tasks.task import Evaluation
from convolve.training.run import Run

_FEW = 100


def write_run_report(
    path: Path, run: Run, evaluation: Evaluation, headlines: Sequence[Headline], sections: Sequence[Section]
) -> None:
    """Write the page of one evaluation of a run: the headlines and sections that its task gives, then training, data,
    recipe and machine. Raises `ConvolveError` when it cannot be written.
    """
    manifest, recipe = run.manifest, run.recipe
    document = to_sections(recipe) | {manifest.task: dict(recipe.task_options)}
    training = read_training(run)
    measured = f"Measured on the {evaluation.split} split: {count_of(evaluation.images, 'images')}"
    classes = manifest.data["summary"].get("classes", 0)
    if classes > 1:
        measured += f", {classes:,} classes"
    if evaluation.images < _FEW:
        measured += ". So few images give rough estimates: small differences between runs may be chance."
    general = (
        *((training_section(training),) if training.epochs else ()),
        fact_section("data", "Data", fact_lists(manifest.data["summary"]), manifest.data.get("warnings", ())),
        fact_section("recipe", "Recipe", fact_lists(document, reasons=manifest.reasons)),
        fact_section("machine", "Machine", fact_lists(manifest.machine)),
    )
    report = Report(
        title=f"{recipe.network} on {Path(str(recipe.data)).name or recipe.data}",
        subtitle=measured,
        headlines=tuple(headlines),
        sections=(*sections, *general),
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )
    write_report(path, report)


def read_training(run: Run) -> Training:
    """The epochs in a run's `metrics.jsonl`; none where there is no such file."""
    path, monitored = run.folder / "metrics.jsonl", run.manifest.monitored
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    epochs = tuple(
        Epoch(line["epoch"], line["train_loss"], line.get("loss"), line.get(monitored), line.get("learning_rate"))
        for line in lines
    )
    title = find_task(run.manifest.task).info.metric_titles.get(monitored, monitored)
    return Training(epochs, title, run.manifest.results.get("epoch"))
