"""What every task's page has: the run, how it was trained, its data and machine."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np

from convolve import __version__
from convolve.options import to_sections
from convolve.reports.report import Classes, Epoch, Headline, Report, Training, sections
from convolve.tasks.task import Evaluation
from convolve.training.run import Run


def begun(run: Run, evaluation: Evaluation, classes: Classes, headlines: tuple[Headline, ...]) -> Report:
    """The page of one evaluation of a run, without its pictures."""
    manifest, recipe = run.manifest, run.recipe
    return Report(
        title=f"{recipe.network} on {Path(str(recipe.data)).name or recipe.data}",
        subtitle=f"{evaluation.images:,} {evaluation.split} images, {len(manifest.classes)} classes",
        headlines=headlines,
        classes=classes,
        training=_training(run.folder, manifest.criterion),
        recipe=sections(to_sections(recipe), "recipe", manifest.reasons),
        data=sections(manifest.data["summary"], "data"),
        machine=sections(manifest.machine, "machine"),
        warnings=tuple(manifest.data.get("warnings", ())),
        made=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def _training(folder: Path, criterion: str) -> Training | None:
    place = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.is_file() else []
    if not lines:
        return None
    epochs = tuple(
        Epoch(line["epoch"], line["train_loss"], line.get("loss"), line.get(criterion), line["rate"]) for line in lines
    )
    figures = np.array([-np.inf if epoch.criterion is None else epoch.criterion for epoch in epochs])
    return Training(epochs, criterion, epochs[int(figures.argmax())].number)
