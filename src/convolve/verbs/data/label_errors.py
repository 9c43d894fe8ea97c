"""Labels that are likely wrong, for `convolve data RUN --label-errors`: from a run's folder to a list and a page."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.choices import Language
from convolve.errors import OptionError, RunError
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions
from convolve.verbs import train

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.metrics.label_errors import LabelErrors
    from convolve.reports.label_errors import LabelError
    from convolve.reports.report import Section
    from convolve.setup.held_out import HeldOut
    from convolve.training.recipe import Recipe
    from convolve.training.run import Run

_MOST_ROWS = 20


@dataclass(frozen=True)
class JudgedLabels:
    """What was found among the labels of a run's data: the ``errors``, most certain first, the file of the ``report``,
    how many ``networks`` judged, and the ``recipe`` that they were trained by.
    """

    recipe: Recipe
    networks: int
    held_out: HeldOut
    found: LabelErrors
    errors: tuple[LabelError, ...]
    report: Path

    def as_json(self) -> dict[str, Any]:
        """`report`, how many labels were judged and are estimated to be wrong (a fraction), and the `errors`."""
        return {
            "report": str(self.report),
            "networks": self.networks,
            "judged": len(self.held_out.labels),
            "not_judged": self.held_out.not_judged,
            "estimated": self.found.estimated,
            "errors": [asdict(error) for error in self.errors],
        }


def judge_labels(
    folder: Path, folds: int, listener: Listener, table: Path | None = None, language: Language = "en"
) -> JudgedLabels:
    """Find likely label errors in the data of a run or of a folder of folds, and write the page in a ``language`` into
    the folder, and a ``table`` of them if one is wanted.

    A single run's recipe is first trained in ``folds`` folds, which stay in its folder; with 1, only the images that
    the run has not learned from are judged. Raises `ConvolveError`.
    """
    from convolve.datasets.layouts.table_cells import is_label_errors
    from convolve.files import check_replaceable
    from convolve.marks import is_page
    from convolve.metrics.label_errors import find_label_errors
    from convolve.setup.held_out import predict_held_out

    if folds < 1:
        raise OptionError(f"folds cannot be {folds}; it must be a whole number from 1.")
    report = folder / "label_errors.html"
    check_replaceable(report, is_page, "page that convolve wrote")
    if table:
        check_replaceable(table, is_label_errors, "table of label errors that convolve wrote")
    runs = _open_runs(folder, folds, listener)
    held_out = predict_held_out(runs, listener)
    found = find_label_errors(held_out.probabilities, held_out.labels)
    errors = tuple(_list_errors(held_out, found))
    judged = JudgedLabels(runs[0].recipe, len(runs), held_out, found, errors, report)
    _write_page(judged, language)
    if table:
        _write_csv(table, errors)
    return judged


def sections(judged: JudgedLabels) -> tuple[Section, ...]:
    """The part of a page on them."""
    from convolve.reports.label_errors import label_error_sections

    held_out, found = judged.held_out, judged.found
    images = held_out.dataset.images.take(held_out.indices[found.indices])
    return label_error_sections(judged.errors, images, held_out.classes, held_out.labels, found)


def render(judged: JudgedLabels) -> Iterator[RenderableType]:
    """How many labels are doubted, the most certain of them, and where the page is."""
    from rich.table import Table
    from rich.text import Text

    from convolve.reports.report import percent

    yield Text(_summary(judged), style="bold")
    table = Table("image", "label", "", "rather", "", box=None, header_style="bold")
    for error in judged.errors[:_MOST_ROWS]:
        probabilities = percent(error.label_probability), percent(error.suggested_probability)
        cells = error.image, error.label, probabilities[0], error.suggested, probabilities[1]
        table.add_row(*map(Text, cells))
    if judged.errors:
        yield table
    if len(judged.errors) > _MOST_ROWS:
        yield f"and {len(judged.errors) - _MOST_ROWS:,} more, which --json lists and --csv writes"
    yield f"label errors  {judged.report}"


def _summary(judged: JudgedLabels) -> str:
    count, not_judged = len(judged.held_out.labels), judged.held_out.not_judged
    networks = f"{judged.networks} networks predict" if judged.networks > 1 else "the network predicts"
    others = f"; {not_judged:,} images that were learned from are not judged" if not_judged else ""
    return (
        f"{len(judged.errors):,} of {count:,} labels are likely wrong, by what {networks} for images not learned "
        f"from{others}"
    )


def _list_errors(held_out: HeldOut, found: LabelErrors) -> Iterator[LabelError]:
    from convolve.reports.label_errors import LabelError

    for row, suggested, margin in zip(found.indices, found.suggested, found.margins.tolist(), strict=True):
        label, probabilities = held_out.labels[row], held_out.probabilities[row]
        yield LabelError(
            held_out.dataset.images.name(int(held_out.indices[row])),
            held_out.classes[label],
            held_out.classes[suggested],
            margin,
            float(probabilities[label]),
            float(probabilities[suggested]),
        )


def _write_csv(path: Path, errors: Sequence[LabelError]) -> None:
    from convolve.datasets.layouts.table_cells import LABEL_ERRORS
    from convolve.files import link_target, write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, LABEL_ERRORS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, errors))
    write_text(link_target(path), text.getvalue())


def _write_page(judged: JudgedLabels, language: Language) -> None:
    from convolve import __version__
    from convolve.reports.page import write_report
    from convolve.reports.report import Headline, Report, format_count, percent

    found, held_out = judged.found, judged.held_out
    headlines = (
        Headline("likely wrong", f"{len(judged.errors):,}", f"of {format_count(len(held_out.labels), 'images')}"),
        Headline("estimated wrong", percent(found.estimated), "of the labels, by the confident joint"),
    )
    data = str(judged.recipe.data)
    report = Report(
        title=f"Label errors in {Path(data).name or data}",
        subtitle=_summary(judged),
        headlines=headlines,
        sections=sections(judged),
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )
    write_report(judged.report, report, language)


def _open_runs(folder: Path, folds: int, listener: Listener) -> list[Run]:
    """The runs that judge. Raises `RunError` where they have not ended, `DataError` where they cannot judge labels."""
    from convolve.setup.held_out import open_labels
    from convolve.setup.restore import restore_task
    from convolve.training.run import inner_path, open_run

    if train.fold_folder(folder, 0).is_dir():
        runs, count = _ended_folds(folder)
        if len(runs) < count:
            raise RunError(
                f"{len(runs)} of the {count} folds in {folder} have ended; continue with "
                f"`convolve train --resume {folder}`."
            )
        return runs
    run = open_run(folder)
    open_labels(run, restore_task(run, RuntimeOptions())[0])  # which refuses before a person waits for the folds
    if folds == 1:
        return [run]
    home = inner_path(folder, f"folds-{folds}")
    if not (train.fold_folder(home, 0) / "manifest.json").is_file():
        listener(Message(_announce(run, home, folds)))
        recipe = replace(run.recipe, splitting=replace(run.recipe.splitting, folds=folds))
        train.run(train.Train(recipe, out=home, runtime=RuntimeOptions(**run.manifest.runtime)), listener)
    elif len(_ended_folds(home)[0]) < folds:
        listener(Message(f"Continuing with the folds in {home}."))
        train.run(train.Train(resume=home), listener)
    return _ended_folds(home)[0]


def _ended_folds(folder: Path) -> tuple[list[Run], int]:
    """The folds whose training has ended, and how many there are to be."""
    from convolve.training.run import open_run

    count = open_run(train.fold_folder(folder, 0)).recipe.splitting.folds or 1
    paths = [train.fold_folder(folder, fold) for fold in range(count)]
    runs = [open_run(path) for path in paths if (path / "manifest.json").is_file()]
    return [run for run in runs if run.manifest.results], count


def _announce(run: Run, home: Path, folds: int) -> str:
    """What is about to be trained, and how long it takes if the machine is as fast as it was."""
    from convolve.progress import format_duration
    from convolve.training.run import TIMES, read_lines

    try:
        lines, _ = read_lines(run, TIMES)
    except RunError:  # then nothing is expected
        lines = []
    seconds = folds * sum(line.get("seconds") or 0 for line in lines)
    expected = f", about {format_duration(seconds)}" if 0 < seconds < math.inf else ""
    return (
        f"Training {folds} networks by the recipe of {run.folder}, so that each image is judged by one that has "
        f"not learned from it{expected}; they stay in {home}. With --folds 1 only the run "
        "itself judges, and only what it has not learned from."
    )
