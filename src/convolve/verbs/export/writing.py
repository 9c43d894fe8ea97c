"""From a run to the folder of its export, through the gates."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from convolve.choices import Precision
from convolve.errors import ExportError
from convolve.exports.card import Engine, ExportCard, write_card
from convolve.interop.onnx import build_model, class_metadata, save_model
from convolve.interop.openvino import CompiledNetwork, build_graph, runs_in_bfloat16, save_graph
from convolve.progress import Listener
from convolve.runtime import SMALL, Runtime
from convolve.setup.restore import open_evaluation_data, restore_task
from convolve.tasks.task import Evaluation, EvaluationData, Task, TaskExport
from convolve.training.run import Run, open_run
from convolve.verbs.export.folder import draft_folder, write_readme
from convolve.verbs.export.gates import (
    Parity,
    RunAnswers,
    evaluate_export,
    measure_speed,
    speed_as_json,
)

if TYPE_CHECKING:
    from convolve.verbs.export import Export

_FILES: Mapping[str, str] = {"openvino": "network.xml", "onnx": "network.onnx"}


@dataclass(frozen=True, eq=False)
class Source:
    """A run that is exported: its task, restored, with what is exported of it and the images to measure on."""

    run: Run
    task: Task
    exported: TaskExport
    runtime: Runtime
    data: EvaluationData


@dataclass(frozen=True)
class Candidate:
    """A way to store and to run a network: in a number format, and with weights in 16 bits or 32."""

    precision: Precision
    compressed: bool


def write_export(options: Export, listener: Listener) -> ExportCard:
    """Write an export, and nothing unless every gate opens. Raises `ExportError`, `RunError` and `DataError`."""
    source = open_source(options, listener)
    with draft_folder(options.out) as draft:
        answers = RunAnswers.of(source.exported, source.data, listener)
        path = draft / _FILES[options.to]
        candidate, parity = _write_network(path, options, source, answers)
        network = CompiledNetwork(path, candidate.precision, source.runtime.threads)
        speeds = measure_speed(source.exported, network, source.data.preprocessing, source.runtime)
        evaluation = evaluate_export(source.exported, network, source.data, listener)
        card = describe(source, options.to, evaluation)
        card = replace(
            card,
            precision=candidate.precision,
            main=path.name,
            parity=parity.as_json(),
            speed=speed_as_json(speeds, source.runtime),
            notes=(*source.exported.part.notes, *_notes(parity)),
        )
        write_readme(draft, card, source.exported.part.usage)
        write_card(draft, card)
    return card


def open_source(options: Export, listener: Listener) -> Source:
    """What is exported, and the images that it is measured on. Raises `ExportError`, `RunError` and `DataError`."""
    run = open_run(options.run)
    if run.recipe.data is None and options.data is None:
        raise ExportError(
            f"{run.folder} has no data of its own to be compared on; pass images with its classes: --data FOLDER."
        )
    task, runtime = restore_task(run, options.runtime, listener)
    exported = task.exported(run.manifest.preprocessing, runtime)
    split = "validation" if options.data is None else None
    return Source(run, task, exported, runtime, open_evaluation_data(run, task, runtime, options.data, split))


def describe(source: Source, engine: Engine, evaluation: Evaluation) -> ExportCard:
    """The card as far as the run and the export's metrics say it."""
    run, card = source.run, source.task.network.card
    document = evaluation.as_json()
    measured = {key: document.get(key, {}) for key in ("images", "metrics", "intervals")}
    data = run.manifest.data
    return ExportCard(
        convolve=importlib.metadata.version("convolve"),
        task=run.manifest.task,
        network=run.recipe.network or card.name,
        title=card.title,
        paper=f"{card.authors} {card.year}, {card.address}",
        parameters=sum(value.numel() for value in source.task.network.parameters()),
        macs=run.manifest.macs,
        input=run.manifest.preprocessing,
        engine=engine,
        precision="fp32",
        main="",
        state=source.task.state(),
        source={
            "run": run.folder.resolve().name,
            "data": run.recipe.data,
            "layout": data.get("layout"),
            "fingerprint": data.get("fingerprint"),
            "epoch": run.manifest.results.get("epoch"),
        },
        metrics={evaluation.split: measured},
        versions={name: importlib.metadata.version(name) for name in ("convolve", "openvino", "torch", "numpy")},
    )


def _write_network(path: Path, options: Export, source: Source, answers: RunAnswers) -> tuple[Candidate, Parity]:
    """Write the network in the first way whose answers are the run's. Raises `ExportError` where none is."""
    part, preprocessing = source.exported.part, source.data.preprocessing
    parity = None
    candidates = [Candidate("fp32", compressed=False)]
    if options.to == "onnx":
        metadata = class_metadata(source.task.classes, source.run.manifest.task)
        save_model(build_model(part, preprocessing, metadata), path)
    else:
        graph, candidates = build_graph(part, preprocessing), _candidates(source)
    for candidate in candidates:
        if options.to == "openvino":
            save_graph(graph, path, compressed=candidate.compressed)
        network = CompiledNetwork(path, candidate.precision, source.runtime.threads)
        parity = answers.compare(network, options.tolerance)
        if parity.held:
            return candidate, parity
    assert parity is not None  # noqa: S101 - there is a candidate
    raise ExportError(
        f"{parity.changed:,} of {parity.answers:,} answers of the export ({parity.fraction:.1%}, on {parity.images} "
        f"images) are not the run's, more than the {options.tolerance:.1%} allowed, and nothing was written; "
        f"allow more with --tolerance {round(parity.fraction + 0.005, 2)}, or export another run."
    )


def _candidates(source: Source) -> list[Candidate]:
    """The fastest first. Small networks, for which casts cost more than they save, stay in fp32 as in training."""
    fast = source.run.manifest.macs >= SMALL and runs_in_bfloat16()
    in_bfloat16 = [Candidate("bf16", compressed=True), Candidate("bf16", compressed=False)]
    return [*(in_bfloat16 if fast else []), Candidate("fp32", compressed=False)]


def _notes(parity: Parity) -> Iterator[str]:
    mean, most = parity.gray_levels
    if most:
        yield (
            "The run decodes a large JPEG at half its size or less, and the export is given all of it: the network's "
            f"inputs are {mean:.2f} gray levels apart on average, {most:.0f} at most, in {parity.images} images."
        )
