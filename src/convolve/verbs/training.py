"""One training from its preparation to its report, and the same for a run that was stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from convolve.datasets.layouts import open_dataset
from convolve.errors import RunError
from convolve.models import Network
from convolve.progress import Listener, Remark
from convolve.reports.report import shown as plain
from convolve.runtime import Runtime, choose, describe_machine, memory_budget
from convolve.summary import summarize
from convolve.tasks.task import Evaluation, Task, find
from convolve.training.events import Bar, Events, Times
from convolve.training.frozen import remember
from convolve.training.keeper import Keeper
from convolve.training.loop import fit
from convolve.training.plan import measure
from convolve.training.ranges import values
from convolve.training.recipe import Recipe
from convolve.training.run import Manifest, Run, create_run, open_run, read_splits, save_weights, write_manifest
from convolve.training.scoring import answers
from convolve.training.step import Source, Training
from convolve.verbs.looking import draw_sheet, summary_of
from convolve.verbs.making import network_of
from convolve.verbs.preparing import (
    Beginning,
    Prepared,
    build_task,
    examples_of,
    prepare,
    unchanged,
    varies,
)
from convolve.verbs.running import Running, kept_weights
from convolve.verbs.starting import Start, starting_weights
from convolve.verbs.train import Train, Trained


def train(recipe: Recipe, folder: Path, options: Train, listener: Listener, fold: int = 0) -> Trained:
    """Train from the beginning and leave a run in ``folder``. Raises `ConvolveError`."""
    beginning = prepare(recipe, options.running, fold)
    prepared, findings = beginning.prepared, beginning.findings
    listener(Remark(f"{prepared.dataset.root}: {prepared.dataset.layout} ({prepared.dataset.reason})"))
    listener(Remark(f"{len(findings.usable):,} images, {len(findings.classes)} classes; {prepared.splits.origin}"))
    for sentence in (
        *findings.warnings,
        *_choices(beginning),
        *prepared.runtime.reasons,
        prepared.examples.source.description,
    ):
        listener(Remark(sentence))
    run = create_run(folder, _lasting(prepared.recipe), _manifest(beginning), prepared.dataset, prepared.splits)
    place, kind = folder / "contact_sheet.png", prepared.kind
    draw_sheet(place, kind, prepared.dataset, prepared.learning(), prepared.preprocessing)
    return _carry_out(run, prepared, options, listener)


def resume(folder: Path, options: Train, listener: Listener) -> Trained:
    """Go on with a run. Raises `RunError` when it cannot, among others because its data has changed."""
    run = open_run(folder)
    manifest, recipe = run.manifest, run.recipe
    if manifest.results:
        raise RunError(
            f"{folder} has ended its training; look at {folder / 'report.html'}, or train into another --out."
        )
    weights = recipe.transfer.weights
    start = starting_weights(weights, recipe.network or "") if weights else None
    prepared = reopen(run, recipe.data or "", Running(**manifest.runtime), start)
    if not unchanged(run, prepared.dataset, prepared.splits):
        raise RunError(f"{recipe.data} has changed since {folder} began; bring it back, or train anew.")
    return _carry_out(run, prepared, options, listener)


def ended(folder: Path) -> Trained:
    """A run that has ended its training, measured again as it was then. Raises `RunError`."""
    run = open_run(folder)
    results = run.manifest.results
    prepared = reopen(run, run.recipe.data or "", Running(**run.manifest.runtime))
    prepared.runtime.prepare(prepared.task.network).load_state_dict(kept_weights(run))
    return Trained(
        folder, run.manifest.task, _judge(prepared, results), int(results["epoch"] or 0), folder / "report.html"
    )


def reopen(run: Run, data: str, running: Running, start: Start | None = None) -> Prepared:
    """A run's data, splits, and a network of its kind as it began. Raises `ConvolveError`."""
    manifest, recipe = run.manifest, run.recipe
    if Path(data).is_absolute() and not Path(data).exists():
        raise RunError(
            f"The run's data is no longer at {data}; bring it back, or correct {run.folder / 'recipe.toml'}."
        )
    kind = find(manifest.task)
    dataset = kind.accept(open_dataset(data, manifest.task), recipe)
    splits = read_splits(run.folder, dataset)
    size = manifest.preprocessing
    network, _ = network_of(recipe, len(dataset.labels.classes), size, start)
    task = build_task(kind, recipe, network, dataset, splits)
    multiply_adds = summarize(task.network, (size.channels, size.height, size.width)).macs
    runtime = choose(running.device, running.precision, running.threads, multiply_adds)
    return Prepared(recipe, dataset, splits, size, runtime, kind, task, examples_of(kind, dataset, size))


def _carry_out(run: Run, prepared: Prepared, options: Train, listener: Listener) -> Trained:
    """Train, take the best epoch, fit the temperature, touch the test split once, and report."""
    task, runtime = prepared.task, prepared.runtime
    runtime.prepare(task.network, learning=True)
    learner, train, measuring = _learning(prepared)
    training = Training(learner, train, partial(_validate, learner, measuring, runtime), prepared.recipe, runtime)
    listener(Remark(str(measure(training, len(prepared.examples.of(prepared.splits.validation))))))
    keeper = Keeper(run.folder)
    state = fit(training, keeper, _events(run.folder, prepared, options, listener))
    save_weights(run.weights, task.network)
    kind, kept = prepared.kind, {"epoch": state.best_epoch, "ended": state.ended}
    kept |= kind.conclude(task, answers(learner, measuring.epoch(0), runtime))
    run = replace(run, manifest=replace(run.manifest, results=kept))
    evaluation = _judge(prepared, kept)
    page = run.folder / "report.html"
    kind.report(page, run, prepared.dataset, evaluation, task, runtime)
    results = {**kept, evaluation.split: evaluation.as_json()}
    write_manifest(run.folder, replace(run.manifest, results=results))
    return Trained(run.folder, run.manifest.task, evaluation, state.best_epoch or 0, page)


def _judge(prepared: Prepared, results: Mapping[str, Any]) -> Evaluation:
    """Measure on the test split, or on validation where there is none."""
    splits, task = prepared.splits, prepared.task
    name, part = ("test", splits.test) if len(splits.test) else ("validation", splits.validation)
    batches, kind = prepared.measuring(part), prepared.kind
    parts = kind.measured(task, prepared.dataset, part, batches, prepared.preprocessing, prepared.runtime)
    found: Evaluation = kind.evaluate(task, name, parts, results)
    return found


def _learning(prepared: Prepared) -> tuple[Task, Source, Source]:
    """The task that learns, what it learns from, and what it is measured on in every epoch.

    Of frozen stages only what they gave, once, where nothing varies what they see and the memory holds it.
    """
    recipe, task, splits = prepared.recipe, prepared.task, prepared.splits
    learning, measuring = prepared.learning(), prepared.measuring(splits.validation)
    stage = recipe.transfer.freeze
    if not stage or varies(recipe) or recipe.regularization.mixup or not _memorable(prepared, stage):
        return task, learning, measuring
    seen = partial(remember, task.network, stage, runtime=prepared.runtime)
    train = seen(learning, prepared.measuring(splits.train))
    return task.over(task.network.tail(stage)), train, seen(measuring, measuring)


def _memorable(prepared: Prepared, stage: str) -> bool:
    network, frame = prepared.task.network, prepared.preprocessing
    if network.head_inputs:
        return False  # the head reads maps of frozen stages, too
    cells = math.ceil(frame.height / network.strides[stage]) * math.ceil(frame.width / network.strides[stage])
    every = sum(len(prepared.examples.of(part)) for part in (prepared.splits.train, prepared.splits.validation))
    return 4 * network.channels[stage] * cells * every <= memory_budget() // 2


def _validate(task: Task, measuring: Source, runtime: Runtime, network: Network) -> dict[str, float]:
    """The figures of another network (the one that is kept, such as a moving average) at the same task."""
    return task.figures(answers(task.over(network), measuring.epoch(0), runtime))


def _events(folder: Path, prepared: Prepared, options: Train, listener: Listener) -> Events:
    bar = Bar(listener, prepared.recipe.epochs or 1, len(prepared.examples.of(prepared.splits.train)))
    if not options.tensorboard:
        return Events(step=(bar,), epoch=(Times(folder / "timing.jsonl"),))
    from convolve.training.tensorboard import Board

    return Events(step=(bar,), epoch=(Times(folder / "timing.jsonl"), Board(folder / "tensorboard")))


def _manifest(beginning: Beginning) -> Manifest:
    prepared, findings = beginning.prepared, beginning.findings
    dataset, runtime = prepared.dataset, prepared.runtime
    return Manifest(
        task=prepared.recipe.task or "",
        classes=dataset.labels.classes,
        multiple=dataset.labels.multiple,
        criterion=prepared.task.criterion,
        preprocessing=prepared.preprocessing,
        runtime={"device": runtime.device, "precision": runtime.precision, "threads": runtime.threads},
        data={
            "fingerprint": findings.fingerprint,
            "warnings": findings.warnings,
            "summary": summary_of(dataset, prepared.splits, findings),
        },
        machine=describe_machine(),
        reasons=beginning.reasons,
        results={},
        colors=dataset.masks.colors if dataset.masks else (),
    )


def _choices(beginning: Beginning) -> Iterator[str]:
    """A sentence for every choice that was made and does something."""
    recipe = beginning.prepared.recipe
    idle = {"crop": 1.0, "folds": 1}
    if recipe.optimization.optimizer not in ("momentum", "nesterov", "rmsprop"):
        idle["momentum"] = recipe.optimization.momentum or 0.0
    for name, value in values(recipe).items():
        if name in beginning.reasons and value not in (None, 0, 0.0, False, "none", idle.get(name)):
            yield f"{name} {plain(value)}: {beginning.reasons[name]}"


def _lasting(recipe: Recipe) -> Recipe:
    """The recipe with paths that hold wherever it is read again."""

    def lasting(name: str | None) -> str | None:
        return str(Path(name).expanduser().resolve()) if name and Path(name).expanduser().exists() else name

    transfer = replace(recipe.transfer, weights=lasting(recipe.transfer.weights))
    return replace(recipe, data=lasting(recipe.data), transfer=transfer)
