"""The report of a run: what its task shows of an evaluation, and what every run has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from convolve import __version__
from convolve.errors import RunError
from convolve.options import to_sections
from convolve.progress import Listener, Message
from convolve.reports.report import Epoch, Headline, Report, Section, Training, fact_lists, format_count
from convolve.reports.sections import fact_section, training_section
from convolve.tasks.registry import find_task
from convolve.tasks.task import Evaluation
from convolve.training.run import METRICS, Run, network_label, read_lines

_FEW = 100


def run_report(
    run: Run,
    training: Training,
    evaluation: Evaluation,
    headlines: Sequence[Headline],
    sections: Sequence[Section],
    data: str | None = None,
) -> Report:
    """The report of one evaluation of a run, on other ``data`` than its own, if given: the headlines and sections that
    its task gives, then training, data, recipe and machine.
    """
    measured = data or run.recipe.data
    manifest, recipe = run.manifest, run.recipe
    document = to_sections(recipe) | {manifest.task: dict(recipe.task_options)}
    general = (
        *((training_section(training),) if training.epochs else ()),
        fact_section("data", "Data", fact_lists(manifest.data["summary"]), manifest.data.get("warnings", ())),
        fact_section("recipe", "Recipe", fact_lists(document, reasons=manifest.reasons), literal=True),
        fact_section("machine", "Machine", fact_lists(manifest.machine), literal=True),
    )
    return Report(
        title=network_label(run) + (f" on {Path(measured).name or measured}" if measured else ""),
        subtitle=measured_on(evaluation, manifest.data["summary"].get("classes", 0)),
        headlines=tuple(headlines),
        sections=(*sections, *general),
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def measured_on(evaluation: Evaluation, classes: int) -> str:
    """How many images an evaluation is of, and what that means."""
    part = "all of the data" if evaluation.split == "all" else f"the {evaluation.split} split"
    measured = f"Measured on {part}: {format_count(evaluation.images, 'images')}"
    if classes > 1:
        measured += f", {classes:,} classes"
    if evaluation.images < _FEW:
        measured += ". So few images give rough estimates: small differences between runs may be chance."
    return measured


def read_training(run: Run, listener: Listener) -> Training:
    """The epochs in a run's `metrics.jsonl`; none where there is no such file. The listener is told of a line that a
    power cut has torn. Raises `RunError` for any other damage.
    """
    monitored = run.manifest.monitored
    lines, torn = read_lines(run, METRICS)
    if torn:
        listener(Message(f"The last line of {run.folder / METRICS} is incomplete and left out of the report."))
    epochs = tuple(_epoch(run, line, monitored) for line in lines)
    title = find_task(run.manifest.task).info.metric_titles.get(monitored, monitored)
    return Training(epochs, title, run.manifest.results.get("epoch"))


def _epoch(run: Run, line: Mapping[str, Any], monitored: str) -> Epoch:
    epoch, loss = line.get("epoch"), line.get("train_loss")
    if type(epoch) is not int or loss is None:
        raise RunError(
            f"{run.folder / METRICS} is damaged: a line in it has no epoch or no train_loss; delete it to do without, "
            "or restore it from a backup."
        )
    return Epoch(epoch, loss, line.get("loss"), line.get(monitored), line.get("learning_rate"))
