"""`convolve convert`: a network that another program trained becomes a run, or an export where its file only runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from convolve.choices import Fit
from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import TaskOptions
from convolve.progress import Listener

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.exports.card import ExportCard
    from convolve.exports.foreign import ForeignOptions
    from convolve.values import Preprocessing

_PROGRAMS: Final = {".onnx": "ONNX", ".tflite": "TensorFlow Lite", ".pb": "TensorFlow"}


@dataclass(frozen=True)
class Convert:
    """Turn a network that another program trained into a run, which predicts, explains and can be trained further.

    Files are those of Caffe, Darknet, Torch7, Keras and PyTorch. Those of ONNX, TensorFlow Lite and TensorFlow's frozen
    graphs become an export, which predicts and is evaluated and compared.
    """

    files: tuple[Path, ...]
    """The network's file, or its two: `.prototxt` and `.caffemodel`, or `.cfg` and `.weights`; MTCNN's three."""
    _: KW_ONLY
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder of the run, by default a new one in `runs`; or of the export, which has no default."""
    network: str | None = None
    """Network that the weights are of, where the file holds nothing but weights, such as `torchvision/resnet18`."""
    classes: Path | None = None
    """Text file with one class a line, in the order of the network's scores; also as ImageNet has them."""
    mean: str | None = None
    """What is subtracted from pixels from 0 to 255, one value or one for each channel: 104,117,123."""
    scale: str | None = None
    """What pixels are multiplied by after that, one value or one for each channel."""
    bgr: bool | None = None
    """Whether the network was trained on images whose blue comes first; those of Caffe are taken to be."""
    input: str | None = None
    """Input size as channels x height x width, such as 3x224x224; the file's by default."""
    fit: Fit | None = None
    """How an image is fitted to the input: crop, letterbox or stretch."""
    task: str | None = None
    """What it does: `classify`, `detect`, `segment`, `landmarks` or `restore`; by default what its scores are for."""
    swap_axes: bool = False
    """Exchange rows and columns of all kernels, where the network was trained on transposed images, as by MATLAB."""
    task_options: TaskOptions = field(default_factory=dict)
    """Options of the task."""


@dataclass(frozen=True)
class Converted:
    """The ``run``, or the export in its place, and what is known of its network; ``notes`` are sentences on what had to
    be assumed.
    """

    run: Path
    task: str
    network: str
    outputs: int
    parameters: int
    preprocessing: Preprocessing
    source: str
    notes: tuple[str, ...]
    is_export: bool = False

    def as_json(self) -> dict[str, Any]:
        """The same fields, and those of the preprocessing."""
        return {**asdict(self), "run": str(self.run)}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def run(options: Convert, listener: Listener) -> Converted:
    """Convert. Raises `WeightsError`, `NetworkError` and `ExportError` for files that cannot be, and `OptionError`."""
    from convolve.interop.foreign_files import kind_of

    del listener
    if len(options.files) == 1 and kind_of(options.files[0]) == "graph":
        return _write_export(options)
    return _write_run(options)


def _write_run(options: Convert) -> Converted:
    from convolve.setup.conversion import ConversionOptions, convert
    from convolve.setup.foreign_input import InputOptions
    from convolve.training.run import CHECKPOINTS, network_label, new_folder, taken

    if options.out and any((options.out / name).exists() for name in ("manifest.json", CHECKPOINTS, "fold-1")):
        raise taken(options.out)
    images = InputOptions(
        size=_size(options.input) if options.input else None,
        fit=options.fit,
        mean=_numbers("mean", options.mean),
        scale=_numbers("scale", options.scale),
        bgr=options.bgr,
    )
    given = ConversionOptions(
        options.network, options.classes, options.task, options.swap_axes, images, options.task_options
    )
    found = convert(options.files, lambda: options.out or new_folder(options.files[0].stem), given)
    manifest = found.run.manifest
    return Converted(
        run=found.run.folder,
        task=manifest.task,
        network=network_label(found.run),
        outputs=manifest.outputs,
        parameters=sum(value.numel() for value in found.network.parameters()),
        preprocessing=manifest.preprocessing,
        source=str(manifest.data["summary"]["converted from"]),
        notes=found.notes,
    )


def _write_export(options: Convert) -> Converted:
    """The export of a graph that only runs. Raises `ExportError` and `OptionError`."""
    from convolve.exports.card import write_card
    from convolve.exports.foreign import wrap_foreign
    from convolve.tasks.registry import build_options, find_exported
    from convolve.verbs.export.folder import draft_folder, write_readme

    file = options.files[0]
    if options.out is None:
        raise OptionError(f"{file} becomes an export, whose folder has no default; name it with --out.")
    given, size = _foreign_options(options, file), _size(options.input) if options.input else None
    with draft_folder(options.out) as draft:
        card = wrap_foreign(file, draft, given)
        if size and size[0] != card.input.channels:
            raise OptionError(f"{file} takes images of {card.input.channels} channels; --input has {size[0]}.")
        own = build_options(card.task, "convert", options.task_options)
        card = find_exported(card.task).complete(card, own)
        card = replace(card, notes=(*card.notes, *_assumptions(options, card)))
        write_readme(draft, card, find_exported(card.task).restore(card).usage)
        write_card(draft, card)
    return Converted(
        run=options.out,
        task=card.task,
        network=card.network,
        outputs=len(card.classes),
        parameters=card.parameters,
        preprocessing=card.input,
        source=f"{file.name} ({_PROGRAMS.get(file.suffix.lower(), 'OpenVINO')})",
        notes=card.notes,
        is_export=True,
    )


def _foreign_options(options: Convert, file: Path) -> ForeignOptions:
    """What is said of a graph. Raises `OptionError` for what cannot be said of one."""
    from convolve.exports.foreign import ForeignOptions
    from convolve.exports.foreign_answers import TASKS
    from convolve.setup.class_names import read_class_names

    if options.network or options.swap_axes:
        raise OptionError(
            f"{file} holds a graph, which stays as it is; omit {'--network' if options.network else '--swap-axes'}."
        )
    if options.task not in (None, *TASKS):
        *names, last = TASKS
        known = f"{', '.join(names)} or {last}"
        raise OptionError(f"{file} holds a graph, which is read for --task {known}, not for {options.task}.")
    return ForeignOptions(
        task=options.task,
        classes=read_class_names(options.classes).names if options.classes else (),
        mean=_numbers("mean", options.mean),
        scale=_numbers("scale", options.scale),
        bgr=bool(options.bgr),
        fit=options.fit,
        size=_size(options.input)[1:] if options.input else None,
    )


def _assumptions(options: Convert, card: ExportCard) -> Iterator[str]:
    """Sentences on what neither the file nor the options say."""
    if options.mean is None and options.scale is None and card.precision != "int8":
        highest = 1 / max(card.input.std)
        yield f"Pixels are given as numbers from 0 to {highest:.0f}; --mean and --scale say otherwise."
    if options.bgr is None and card.input.channels == 3:
        yield "Red is taken to come first; --bgr says otherwise."
    if options.classes is None and card.classes and card.classes == tuple(map(str, range(len(card.classes)))):
        yield f"Its classes are called 0 to {len(card.classes) - 1}; --classes FILE gives them names."


def render(result: Converted) -> Iterator[RenderableType]:
    """What became of the file, what had to be assumed, and where the run is."""
    from rich.text import Text

    from convolve.tasks.registry import find_task

    size = result.preprocessing
    yield Text(f"{result.source}: {result.network}, {result.parameters:,} parameters")
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (size.mean, size.std))
    scored = f", {result.outputs:,} {find_task(result.task).info.scored}" if result.outputs > 1 else ""
    yield f"task    {result.task}{scored}"
    yield f"input   {size.channels}x{size.height}x{size.width}, {size.fit}; pixels from 0 to 1, mean {mean}, std {std}"
    for note in result.notes:
        yield Text(f"note    {note}", style="yellow")
    yield Text(f"{'export' if result.is_export else 'run':8}{result.run}")


def _numbers(name: str, text: str | None) -> tuple[float, ...]:
    """One number or several, separated by commas. Raises `OptionError`."""
    if text is None:
        return ()
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(abs(value) <= 1e6 for value in values):
        raise OptionError(f"--{name} cannot be '{text}'; give a number, or one for each channel: 104,117,123.")
    return values


def _size(text: str) -> tuple[int, int, int]:
    """Channels, height and width. Raises `OptionError`."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and 0 < int(part) <= 8192 for part in parts):
        raise OptionError(f"--input cannot be '{text}'; give channels x height x width, such as 3x224x224.")
    return int(parts[0]), int(parts[1]), int(parts[2])


COMMAND = Command(Convert, run, render, task_use="convert")
