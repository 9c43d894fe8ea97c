"""`convolve evaluate`: how good the network of a run or of an export is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.choices import Language
from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import Flat, PathLike
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.reports.report import Headline, Section
    from convolve.setup.translation import Translation
    from convolve.tasks.task import Evaluation


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a trained network, or an export of one, on a split or on other data, and write a report."""

    run: Path
    """Folder of the run, or of an export."""
    data: Annotated[str | None, PathLike()] = None
    """Other data to evaluate on, with the run's classes or some of them; by default the run's own. An export has none
    of its own."""
    _: KW_ONLY
    split: Literal["train", "validation", "test", "all"] | None = None
    """Split to evaluate on; by default the run's test split, and all of other data."""
    report: Path | None = None
    """File of the report; by default `evaluation.html` in the run's folder."""
    language: Language = "en"
    """Language of the report: en or ko."""
    translate: int | None = None
    """Also measure a classifier on images that are shifted by 1 to so many pixels of its input, left, right, up and
    down, filled as in augmentation."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Evaluated:
    """The evaluation and its report."""

    evaluation: Evaluation
    report: Path
    headlines: tuple[Headline, ...] = field(default=(), repr=False)
    sections: tuple[Section, ...] = field(default=(), repr=False)
    translation: Translation | None = None

    def as_json(self) -> dict[str, Any]:
        """`report`, and the evaluation; with ``translate``, also `translation`."""
        translation = {"translation": self.translation.as_json()} if self.translation else {}
        return {"report": str(self.report), **self.evaluation.as_json(), **translation}

    def _repr_html_(self) -> str:
        from convolve.reports.notebook import notebook_html

        return notebook_html(self.headlines, self.sections)


def run(options: Evaluate, listener: Listener) -> Evaluated:
    """Evaluate. Raises `RunError`, `ExportError`, and `DataError` when the data does not fit."""
    from convolve.exports.card import check_run_or_export, is_export
    from convolve.files import check_replaceable, link_target
    from convolve.marks import is_page

    check_run_or_export(options.run)
    path = options.run / "evaluation.html"
    if options.report:
        path = link_target(options.report)
        check_replaceable(path, is_page, "page that convolve wrote")
    evaluate = _evaluate_export if is_export(options.run) else _evaluate_run
    return evaluate(options, path, listener)


def _evaluate_run(options: Evaluate, path: Path, listener: Listener) -> Evaluated:
    from convolve.reports.page import write_report
    from convolve.reports.report import fact_lists
    from convolve.reports.sections import fact_section
    from convolve.setup.restore import open_evaluation_data, restore_task
    from convolve.setup.run_report import read_training, run_report
    from convolve.training.run import open_run

    trained = open_run(options.run)
    training = read_training(trained, listener)
    task, runtime = restore_task(trained, options.runtime, listener)
    data = open_evaluation_data(trained, task, runtime, options.data, options.split, listener)
    if options.data and options.split is None and data.split != "all":
        listener(
            Message(
                f"{options.data} holds the run's own images: measured are the {len(data.indices):,} of its {data.split}"
                f" split; --split all measures all {len(data.dataset):,}, among them those that it has learned from."
            )
        )
    translation = None
    if options.translate is not None:
        from convolve.setup.translation import measure_translation

        translation = measure_translation(task, data, options.translate, listener)
    evaluation = task.evaluate(data)
    headlines, sections = task.report(evaluation, data.dataset, data.preprocessing, runtime)
    if translation:
        sections = (*sections, fact_section("translation", "Shifted images", fact_lists(translation.facts())))
    write_report(path, run_report(trained, training, evaluation, headlines, sections, options.data), options.language)
    return Evaluated(evaluation, options.report or path, headlines, sections, translation)


def _evaluate_export(options: Evaluate, path: Path, listener: Listener) -> Evaluated:
    from convolve.reports.page import write_report
    from convolve.setup.export_report import export_report
    from convolve.setup.exported import evaluate_export, has_learned, open_export, select_split

    if options.translate is not None:
        raise OptionError("--translate measures a run; give the folder of the run that the export was made from.")
    export = open_export(options.run, options.runtime, "many")
    dataset, split, indices = select_split(export, options.data, options.split)
    if has_learned(export, options.data or "", split):
        listener(
            Message(
                f"The run that {options.run} was made from has learned from some of these images, so that the metrics "
                "are too good; evaluate the run itself, or give other images."
            )
        )
    evaluation = evaluate_export(export, dataset, split, indices, listener)
    headlines, sections = export.task.report(evaluation, dataset)
    write_report(path, export_report(export, evaluation, headlines, sections), options.language)
    return Evaluated(evaluation, options.report or path, headlines, sections)


def render(result: Evaluated) -> Iterator[RenderableType]:
    """The metrics, also of shifted images where they were measured, and where the report is."""
    yield from result.evaluation.to_console()
    if result.translation:
        yield from result.translation.to_console()
    yield f"report  {result.report}"


COMMAND = Command(Evaluate, run, render)
