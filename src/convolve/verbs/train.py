"""`convolve train`: from images on disk to a trained, evaluated network."""

from __future__ import annotations

import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import NETWORK_FILES, Language
from convolve.command import Command
from convolve.errors import Interrupted, OptionError, RunError
from convolve.files import shell_quote
from convolve.options import Flat, format_value
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.info import finite_or_none
from convolve.training.recipe import Recipe, as_stored, override, read_recipe, starting_like, values, with_lasting_paths

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.reports.report import Headline, Section
    from convolve.setup.choice import Chosen
    from convolve.setup.prepare import Prepared
    from convolve.tasks.task import Evaluation
    from convolve.training.events import EstimateCorrection, Events
    from convolve.training.run import Run
    from convolve.training.step import Training


@dataclass(frozen=True)
class Train:
    """Train a network on images; the result is a run: a folder with weights, metrics and a report.

    Options that are not given are chosen for the data and the machine, and printed with the reason.
    """

    training: Annotated[Recipe, Flat] = field(default_factory=Recipe)
    _: KW_ONLY
    recipe: Path | None = None
    """Recipe to start from (a run's `recipe.toml`); other options override it."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder of the run; by default a new one in `runs`."""
    resume: Path | None = None
    """Continue this interrupted run; the weights will be the same, bit for bit."""
    minutes: float | None = None
    """Time for everything: as many epochs are made as fit, unless --epochs is given. By default 10 where no network is
    named, which is then chosen too."""
    tensorboard: bool = False
    """Also write the metrics for TensorBoard, into the run's folder."""
    validate_only: bool = False
    """Measure the ended run on the validation split, and leave the test split to `convolve evaluate`."""
    language: Language = "en"
    """Language of the report: en or ko."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Trained:
    """A run that has ended: its folder, its evaluation, and the best epoch."""

    run: Path
    task: str
    evaluation: Evaluation
    epoch: int
    report: Path
    headlines: tuple[Headline, ...] = field(default=(), repr=False)
    sections: tuple[Section, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """`run`, `report`, `epoch` and the evaluation."""
        return {"run": str(self.run), "report": str(self.report), "epoch": self.epoch, **self.evaluation.as_json()}

    def _repr_html_(self) -> str:
        from convolve.reports.notebook import notebook_html

        return notebook_html(self.headlines, self.sections)


@dataclass(frozen=True)
class Folds:
    """Several runs on different splits of the same data."""

    runs: tuple[Trained, ...]

    def as_json(self) -> dict[str, Any]:
        """`folds`, and `metrics`: the mean and sample standard deviation of each, null where undefined."""
        plain = {name: {key: finite_or_none(metric[key]) for key in metric} for name, metric in self.metrics().items()}
        return {"folds": [run.as_json() for run in self.runs], "metrics": plain}

    def metrics(self) -> Mapping[str, dict[str, float]]:
        """Mean and sample standard deviation (`std`) of each metric over the folds, nan where one has none."""
        found = {}
        for name in self.runs[0].evaluation.metrics:
            column = [run.evaluation.metrics[name] for run in self.runs]
            std = statistics.stdev(column) if all(map(math.isfinite, column)) else math.nan
            found[name] = {"mean": statistics.mean(column), "std": std}
        return found

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Train, listener: Listener) -> Trained | Folds:
    """Train, or continue a run. Raises `ConvolveError`."""
    from convolve.training.run import CHECKPOINTS, new_folder, taken

    if options.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise OptionError("TensorBoard is not installed; run `pip install 'convolve[tensorboard]'`.")
    if options.resume:
        others = options.recipe or options.out or options.minutes is not None
        if options.training != Recipe() or others or options.runtime != RuntimeOptions():
            raise OptionError("A run continues with its own recipe and folder; give --resume without other options.")
        if fold_folder(options.resume, 0).is_dir():
            return _resume_folds(options.resume, options, listener)
        return _resume(options.resume, options, listener)
    recipe = override(as_stored(read_recipe(options.recipe)), options.training) if options.recipe else options.training
    if options.out and any((options.out / name).exists() for name in ("manifest.json", CHECKPOINTS, "fold-1")):
        raise taken(options.out)
    chosen = _choose(recipe, options, listener) if recipe.network is None or options.minutes is not None else None
    recipe = chosen.recipe if chosen else recipe

    @cache
    def folder() -> Path:  # made when something is written, since it may lie in the data
        network = recipe.network or "network"
        if " " in network and not network.endswith(NETWORK_FILES):  # the text of its layers
            network = "network"
        name = f"{Path(recipe.data or 'data').resolve().name or 'data'}-{network}"
        return options.out or new_folder(name.replace("/", "-"))

    if (recipe.splitting.folds or 1) > 1:
        return _train_folds(recipe, folder, options, listener, chosen)
    return _train(recipe, folder, options, listener, chosen=chosen)


def render(result: Trained | Folds) -> Iterator[RenderableType]:
    """The metrics and where the run and its report are; or the folds' means and standard deviations."""
    if isinstance(result, Trained):
        yield from result.evaluation.to_console()
        yield f"run     {result.run} (best epoch: {result.epoch})"
        yield f"report  {result.report}"
        return
    for name, metric in result.metrics().items():
        if math.isfinite(metric["mean"]):
            yield f"{name:20} {metric['mean']:.4f} ± {metric['std']:.4f} over {len(result.runs)} folds"


def _choose(recipe: Recipe, options: Train, listener: Listener) -> Chosen:
    """What the recipe leaves open, chosen for the data, the machine and the time."""
    from convolve.setup.choice import MINUTES, Chosen, choose
    from convolve.training.time_limit import TimeLimit

    minutes = MINUTES if options.minutes is None else options.minutes
    if not 0 < minutes < math.inf:
        raise OptionError(f"minutes cannot be {minutes}; it must be a number above 0.")
    if recipe.epochs and options.minutes is not None:
        listener(Message(f"--minutes does not limit the {recipe.epochs} epochs that are given."))
        if recipe.network:
            return Chosen(recipe)
    return choose(recipe, options.runtime, TimeLimit(60 * minutes, time.monotonic()), listener)


def _train(
    recipe: Recipe,
    folder: Callable[[], Path],
    options: Train,
    listener: Listener,
    fold: int = 0,
    chosen: Chosen | None = None,
) -> Trained:
    """Train from the beginning; ``chosen`` is how the recipe was completed, if it was."""
    from convolve.setup.contact_sheet import write_contact_sheet
    from convolve.setup.prepare import build_training, prepare
    from convolve.setup.run_manifest import describe_preparation
    from convolve.training.events import EstimateCorrection
    from convolve.training.plan import measure
    from convolve.training.run import create_run, lock
    from convolve.training.running_statistics import why_precise

    preparation = prepare(recipe, options.runtime, fold, listener=listener)
    if chosen:
        preparation = replace(preparation, reasons={**preparation.reasons, **chosen.reasons})
    prepared, findings, reasons = preparation.prepared, preparation.findings, preparation.reasons
    dataset, task, resolved = prepared.dataset, prepared.task, prepared.recipe
    listener(Message(f"{dataset.root}: {dataset.layout} ({dataset.reason}); task {task.info.name}: {reasons['task']}"))
    classes = f", {len(findings.classes)} classes" if findings.classes else ""
    listener(Message(f"{len(findings.usable):,} images{classes}; {prepared.splits.origin}"))
    sentences = [f"note: {note}" for note in dataset.notes] + list(findings.warnings)
    without_effect = {"crop": 1.0, "folds": 1, "bias_rate": 1.0}
    if resolved.optimization.optimizer not in ("momentum", "nesterov", "rmsprop"):
        without_effect["momentum"] = resolved.optimization.momentum or 0.0
    for name, value in {**values(resolved), **resolved.task_options}.items():
        if name in reasons and name != "task" and value not in (None, 0, 0.0, False, "none", without_effect.get(name)):
            sentences.append(f"{name} {format_value(value)}: {reasons[name]}")
    for sentence in (*sentences, *prepared.runtime.reasons, prepared.examples.source.description):
        listener(Message(sentence))
    training = build_training(prepared)
    plan = measure(training, len(prepared.examples.of(prepared.splits.validation)))
    for sentence in filter(None, (why_precise(training), str(plan))):
        listener(Message(sentence))
    if chosen and chosen.limit:
        training = replace(training, limit=chosen.limit.part((fold + 1) / (recipe.splitting.folds or 1)))
    run = create_run(
        folder(),
        with_lasting_paths(prepared.recipe, task.info.options),
        describe_preparation(preparation),
        dataset,
        prepared.splits,
    )
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    write_contact_sheet(run.folder / "contact_sheet.png", ground_truth, prepared.batches, prepared.preprocessing)
    with lock(run.folder):
        correction = EstimateCorrection(listener, plan.epochs, plan.seconds_per_epoch, time.monotonic())
        events = _events(run.folder, prepared, options, listener, correction)
        return _fit(run, prepared, training, events, options, listener)


def _resume(folder: Path, options: Train, listener: Listener) -> Trained:
    """Continue a run. Raises `RunError` when it cannot, for instance because its data has changed."""
    from convolve.setup.prepare import build_training
    from convolve.setup.restore import reopen_training
    from convolve.setup.starting_weights import find_starting_weights
    from convolve.training.events import EstimateCorrection
    from convolve.training.plan import measure
    from convolve.training.run import CHECKPOINTS, inner_path, lock, open_training, recipe_to_build

    run = open_training(folder)
    inner_path(folder, CHECKPOINTS)  # which refuses a link
    recipe = recipe_to_build(run)
    if run.manifest.results:
        raise RunError(f"{folder} has already ended; see {folder / 'report.html'}, or train into another --out.")
    with lock(folder):
        weights = recipe.transfer.weights
        start = find_starting_weights(weights, recipe.network or "", listener) if weights else None
        prepared = reopen_training(run, RuntimeOptions(**run.manifest.runtime), start, listener)
        training = build_training(prepared)
        plan = measure(training, len(prepared.examples.of(prepared.splits.validation)))
        listener(Message(str(plan)))
        correction = EstimateCorrection(listener, plan.epochs, plan.seconds_per_epoch, since=None)
        events = _events(run.folder, prepared, options, listener, correction)
        return _fit(run, prepared, training, events, options, listener)


def _fit(
    run: Run, prepared: Prepared, training: Training, events: Events, options: Train, listener: Listener
) -> Trained:
    """Train, take the best epoch, calibrate, use the test split once unless only to validate, and write the report."""
    from convolve.datasets.changes import FileStamps
    from convolve.training.checkpoints import RunFiles
    from convolve.training.events import DataWatch
    from convolve.training.loop import fit
    from convolve.training.run import save_weights, write_manifest
    from convolve.training.running_statistics import find_gap

    watch = DataWatch(listener, FileStamps(prepared.dataset).changed)
    files = RunFiles(run.folder, listener=listener)
    state = fit(training, files, replace(events, epoch=(*events.epoch, watch)))
    from convolve.reports.page import write_report
    from convolve.setup.restore import has_own_data  # which nothing needs before
    from convolve.setup.run_report import read_training, run_report

    if gap := find_gap(training):
        listener(Message(gap))
    if found := [each for each in (watch.warning if not has_own_data(run) else "", gap) if each]:
        warnings = [*run.manifest.data.get("warnings", ()), *found]
        run = replace(run, manifest=replace(run.manifest, data={**run.manifest.data, "warnings": warnings}))
    prepared.task.finish_training(_evaluation_data(prepared, "train"), listener)
    save_weights(run.weights, prepared.task.network)
    calibrated = prepared.task.calibrate(_evaluation_data(prepared, "validation"))
    split = "test" if len(prepared.splits.test) and not options.validate_only else "validation"
    evaluation = calibrated.evaluate(_evaluation_data(prepared, split))
    results = {"epoch": state.best_epoch, "ended": state.ended, evaluation.split: evaluation.as_json()}
    run = replace(run, manifest=replace(run.manifest, state=calibrated.state(), results=results))
    headlines, sections = calibrated.report(evaluation, prepared.dataset, prepared.preprocessing, prepared.runtime)
    page = run.folder / "report.html"
    report = run_report(run, read_training(run, listener), evaluation, headlines, sections)
    write_report(page, report, options.language)
    write_manifest(run)
    return Trained(run.folder, run.manifest.task, evaluation, state.best_epoch or 0, page, headlines, sections)


def _evaluation_data(prepared: Prepared, split: str) -> Any:
    from convolve.setup.prepare import evaluation_batches
    from convolve.tasks.task import EvaluationData

    part = getattr(prepared.splits, split)
    batches = evaluation_batches(prepared.examples, part, prepared.preprocessing)
    return EvaluationData(split, prepared.dataset, part, batches, prepared.preprocessing, prepared.runtime)


def _events(
    folder: Path, prepared: Prepared, options: Train, listener: Listener, correction: EstimateCorrection
) -> Events:
    from convolve.training.events import EpochTimes, Events, ProgressReporter, TensorBoardWriter

    reporter = ProgressReporter(listener, prepared.recipe.epochs or 1, len(prepared.examples.of(prepared.splits.train)))
    writer = (TensorBoardWriter(folder),) if options.tensorboard else ()
    return Events(step=(reporter,), epoch=(EpochTimes(folder / "timing.jsonl"), correction, *writer))


def fold_folder(folder: Path, fold: int) -> Path:
    """Where one of the folds in a folder is; ``fold`` counts from 0. Raises `RunError` where a link is there."""
    from convolve.training.run import inner_path

    return inner_path(folder, f"fold-{fold + 1}")


def _train_folds(
    recipe: Recipe, folder: Callable[[], Path], options: Train, listener: Listener, chosen: Chosen | None
) -> Folds:
    """Train every fold from the beginning, all from the same weights."""

    def train_fold(fold: int) -> Trained:
        own = starting_like(recipe, read_recipe(fold_folder(folder(), 0) / "recipe.toml")) if fold else recipe
        return _train(own, lambda: fold_folder(folder(), fold), options, listener, fold, chosen)

    return _each_fold(recipe.splitting.folds or 1, folder, listener, train_fold)


def _resume_folds(folder: Path, options: Train, listener: Listener) -> Folds:
    """Continue where the folds were stopped: those that have ended are only evaluated again."""
    from convolve.training.run import open_run

    first = open_run(fold_folder(folder, 0))
    recipe, options = as_stored(first.recipe), replace(options, runtime=RuntimeOptions(**first.manifest.runtime))
    folds = recipe.splitting.folds or 1
    begun = [path for fold in range(folds) if (path := fold_folder(folder, fold) / "manifest.json").is_file()]
    finished = [path for path in begun if open_run(path.parent).manifest.results]
    if len(finished) == folds:
        raise RunError(f"All {folds} folds in {folder} have already ended; train into another --out.")

    def continue_fold(fold: int) -> Trained:
        path = fold_folder(folder, fold)
        if path / "manifest.json" in finished:
            return _evaluate_again(path)
        if path / "manifest.json" in begun:
            return _resume(path, options, listener)
        return _train(recipe, lambda: path, options, listener, fold)

    return _each_fold(folds, lambda: folder, listener, continue_fold)


def _each_fold(folds: int, folder: Callable[[], Path], listener: Listener, train: Callable[[int], Trained]) -> Folds:
    runs: list[Trained] = []
    for fold in range(folds):
        listener(Message(f"Fold {fold + 1} of {folds}"))
        try:
            runs.append(train(fold))
        except Interrupted as error:
            stopped, resume = str(error).partition(";")[0], shell_quote(folder())
            raise Interrupted(f"{stopped}; continue with: convolve train --resume {resume}") from error
    return Folds(tuple(runs))


def _evaluate_again(folder: Path) -> Trained:
    """A run that has ended, evaluated as at its end."""
    from convolve.setup.restore import open_evaluation_data, restore_task
    from convolve.training.run import open_run

    run = open_run(folder)
    task, runtime = restore_task(run, RuntimeOptions(**run.manifest.runtime))
    split = "test" if "test" in run.manifest.results else "validation"
    evaluation = task.evaluate(open_evaluation_data(run, task, runtime, None, split))
    return Trained(folder, task.info.name, evaluation, int(run.manifest.results["epoch"] or 0), folder / "report.html")


COMMAND = Command(Train, run, render, task_use="train")
