"""From a run to the folder of its export, through the gates."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.choices import Precision
from convolve.errors import ExportError
from convolve.exports.card import Engine, ExportCard, ExportPrecision, write_card
from convolve.interop.onnx import build_model, class_metadata, save_model
from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, runs_in_bfloat16, save_graph
from convolve.interop.torch_files import (
    PROGRAM,
    WEIGHTS,
    check_difference,
    find_twin,
    program_difference,
    save_program,
    save_weights,
    twin_difference,
)
from convolve.progress import Listener
from convolve.runtime import SMALL, Runtime
from convolve.setup.restore import open_evaluation_data, restore_task, select_split
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
from convolve.verbs.export.quantization import Baseline, Quantizer, calibration_images

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
        if options.to == "torch":
            card, usage = _write_for_torch(draft, source)
        else:
            card, usage = _write_graph(draft, options, source, listener), source.exported.part.usage
        write_readme(draft, card, usage)
        write_card(draft, card)
    return card


def _write_graph(draft: Path, options: Export, source: Source, listener: Listener) -> ExportCard:
    """The network with the steps around it, through the gates."""
    answers = RunAnswers.of(source.exported, source.data, listener)
    path = draft / _FILES[options.to]
    written = _write_network(path, options, source, answers)
    network = CompiledNetwork(path, written.candidate.precision, source.runtime.threads)
    speeds = measure_speed(source.exported, network, source.data.preprocessing, source.runtime)
    evaluation = evaluate_export(source.exported, network, source.data, listener)
    precision: ExportPrecision = written.candidate.precision
    parity, quantization = written.parity, {}
    if options.int8:
        quantizer = Quantizer(source.task, source.exported, written.graph, source.data, options.max_drop, listener)
        dataset, _, indices = select_split(source.run, source.task, None, "train")
        images = calibration_images(type(source.task), dataset, indices, source.data.preprocessing)
        quantized = quantizer.try_all(path, images, Baseline(evaluation, network, precision))
        quantization = dict(quantized.document)
        if quantized.evaluation:
            evaluation, speeds, precision = quantized.evaluation, quantized.speeds, "int8"
            parity = answers.compare(CompiledNetwork(path, None, source.runtime.threads), options.tolerance)
    card = describe(source, options.to, evaluation)
    final = CompiledNetwork(path, None if precision == "int8" else precision, source.runtime.threads)
    return replace(
        card,
        metrics={**card.metrics, **_test_metrics(options, source, final, listener)},
        precision=precision,
        main=path.name,
        parity=parity.as_json(),
        speed=speed_as_json(speeds, source.runtime),
        quantization=quantization,
        notes=(*source.exported.part.notes, *_notes(parity)),
    )


def _test_metrics(options: Export, source: Source, network: CompiledNetwork, listener: Listener) -> Mapping[str, Any]:
    """Of the test split by its name, where the run has its own and no other images were passed: what runs are compared
    by. Nothing is chosen by them.
    """
    if options.data is not None or "test" not in source.run.manifest.results:
        return {}
    data = open_evaluation_data(source.run, source.task, source.runtime, None, "test")
    evaluation = evaluate_export(source.exported, network, data, listener)
    return {evaluation.split: _measured(evaluation)}


def _write_for_torch(draft: Path, source: Source) -> tuple[ExportCard, tuple[str, ...]]:
    """The weights of the twin that the network has in a library, or else the network as a program."""
    part, preprocessing, network = source.exported.part, source.data.preprocessing, source.task.network
    card = describe(source, "torch", source.task.evaluate(source.data))
    twin = find_twin(network)
    usage: tuple[str, ...]
    if twin is None:
        path = draft / PROGRAM
        save_program(part, preprocessing, path)
        check_difference(program_difference(path, part, preprocessing), path.name)
        # The guards of a program for images of any size hold for the sizes of the example only.
        guards = "check_guards=False" if part.any_size else ""
        usage = ("import torch", f'network = torch.export.load("{PROGRAM}").module({guards})')
    else:
        path = draft / WEIGHTS
        save_weights(twin, path)
        check_difference(twin_difference(twin, network, preprocessing), f"{twin.library}'s {twin.name}")
        make = {"timm": f'timm.create_model("{twin.name}", num_classes=len(classes))'}
        usage = (
            f"import {'timm' if twin.library == 'timm' else 'torchvision'}",
            "from safetensors.torch import load_file",
            "network = "
            + make.get(twin.library, f'torchvision.models.get_model("{twin.name}", num_classes=len(classes))'),
            f'network.load_state_dict(load_file("{WEIGHTS}"), strict=False)',
        )
    scales = ", ".join(
        f"{name} [{', '.join(f'{value:.6g}' for value in getattr(preprocessing, name))}]" for name in ("mean", "std")
    )
    size = f"{preprocessing.width}x{preprocessing.height} pixels by {preprocessing.fit}"
    note = f"The network takes normalized images (N, {preprocessing.channels}, height, width): {size}, {scales}."
    return replace(card, main=path.name, notes=(note,)), usage


def open_source(options: Export, listener: Listener) -> Source:
    """What is exported, and the images that it is measured on. Raises `ExportError`, `RunError` and `DataError`."""
    run = open_run(options.run)
    if run.manifest.preprocessing.permutation is not None:
        raise ExportError(
            f"{run.folder} was trained on images whose pixels are permuted, which an export does not do; train it "
            "without --permute to export it."
        )
    task, runtime = restore_task(run, options.runtime, listener)
    exported = task.exported(run.manifest.preprocessing, runtime)
    if options.int8 and task.info.unit != "%":
        raise ExportError(
            f"--int8 limits a fall in points, and the metric of {task.info.name} is in {task.info.unit}; omit it."
        )
    if run.recipe.data is None and options.data is None:
        raise ExportError(
            f"{run.folder} has no data of its own to be compared on; pass images with its classes: --data FOLDER."
        )
    split = "validation" if options.data is None else None
    return Source(run, task, exported, runtime, open_evaluation_data(run, task, runtime, options.data, split))


def describe(source: Source, engine: Engine, evaluation: Evaluation) -> ExportCard:
    """The card as far as the run and the export's metrics say it."""
    run, network = source.run, source.task.network
    card = network.card
    data = run.manifest.data
    return ExportCard(
        convolve=importlib.metadata.version("convolve"),
        task=run.manifest.task,
        network=network.label,
        title=card.title,
        paper=f"{card.authors} {card.year}, {card.address}" if card.year else "",
        parameters=sum(value.numel() for value in network.parameters()),
        macs=run.manifest.macs,
        input=run.manifest.preprocessing,
        engine=engine,
        precision="fp32",
        main="",
        state={**source.task.state(), **source.exported.part.state},
        source={
            "run": run.folder.resolve().name,
            "data": run.recipe.data,
            "layout": data.get("layout"),
            "fingerprint": data.get("fingerprint"),
            "epoch": run.manifest.results.get("epoch"),
        },
        metrics={evaluation.split: _measured(evaluation)},
        versions={name: importlib.metadata.version(name) for name in ("convolve", "openvino", "torch", "numpy")},
    )


def _measured(evaluation: Evaluation) -> dict[str, Any]:
    document = evaluation.as_json()
    return {key: document.get(key, {}) for key in ("images", "metrics", "intervals")}


@dataclass(frozen=True, eq=False)
class Written:
    """How the network was written, how far its answers are from the run's, and its graph without the steps."""

    candidate: Candidate
    parity: Parity
    graph: Any


def _write_network(path: Path, options: Export, source: Source, answers: RunAnswers) -> Written:
    """Write the network in the first way whose answers are the run's. Raises `ExportError` where none is."""
    part, preprocessing = source.exported.part, source.data.preprocessing
    parity, graph = None, None
    candidates = [Candidate("fp32", compressed=False)]
    if options.to == "onnx":
        metadata = class_metadata(source.task.classes, source.run.manifest.task)
        save_model(build_model(part, preprocessing, metadata), path)
    else:
        graph, candidates = convert_network(part, preprocessing), _candidates(source)
        whole = add_steps(graph, part, preprocessing)
    for candidate in candidates:
        if options.to == "openvino":
            save_graph(whole, path, compressed=candidate.compressed)
        network = CompiledNetwork(path, candidate.precision, source.runtime.threads)
        parity = answers.compare(network, options.tolerance)
        if parity.held:
            return Written(candidate, parity, graph)
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
