"""A network of another program that OpenVINO reads (ONNX, TensorFlow Lite, TensorFlow's frozen graphs) as an export.

Around it go the steps that a run's export has too: images as they are, brought to the network's input, and its scores
as probabilities or as the class of each pixel. What a quantized network takes and gives are numbers in 8 bits, which
are used as they are.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from convolve import __version__
from convolve.choices import Fit
from convolve.errors import ExportError, OptionError
from convolve.exports.card import ExportCard, write_card
from convolve.exports.foreign_answers import TASKS, ForeignTask, Given, guess_task
from convolve.interop.graph_operations import Steps
from convolve.interop.openvino import OpenVinoOperations
from convolve.untrusted.networks import openvino, openvino_core, read_network
from convolve.values import Floats, Preprocessing

SUFFIXES: Final = (".onnx", ".tflite", ".pb", ".xml")
"""How the names of files end that OpenVINO reads."""
MAIN: Final = "network.xml"
_WEIGHTS: Final = ("f32", "f16", "bf16", "i8", "u8", "i4", "u4")
"""Types of numbers that weights are stored in; those of shapes and positions are wider."""
_LARGEST_SIDE: Final = 2**14
_EXAMPLE: Final = 48
"""Side of an image by which a network for any size is tried."""


@dataclass(frozen=True)
class ForeignOptions:
    """What a file does not say: the task (None: to classify, where the file itself gives probabilities of classes, or
    to find COCO's points, where it gives as many), the names of the ``classes``; what is subtracted from pixels from 0
    to 255, and what they are multiplied by then, one number or one for each channel, in the order of the network's
    channels; whether blue comes first in it; how images are fitted, if not as the task does; the input's ``size``
    (height, width) where the file leaves it open.
    """

    task: str | None
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    bgr: bool = False
    fit: Fit | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Input:
    """What a network takes: whether channels come last, its ``channels``, ``height`` and ``width``, and whether it
    takes pixels in 8 bits. With ``any_size`` the height and width are but those of an example.
    """

    last: bool
    channels: int
    height: int
    width: int
    eight_bits: bool
    any_size: bool

    def shape(self, count: int, size: tuple[int, int] | None = None) -> list[int]:
        size = size or (self.height, self.width)
        return [count, *size, self.channels] if self.last else [count, self.channels, *size]


def wrap_foreign(file: Path, folder: Path, options: ForeignOptions) -> ExportCard:
    """Write a file's network with the steps around it into a new folder, and its card. Raises `ExportError` where its
    inputs and outputs are not those of the task, and `OptionError`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder} exists already; choose another --out, or remove it.")
    network = _read(file)
    task = options.task or guess_task(network)
    taken = _input_of(file, network, options, any_size=TASKS[task].any_size)
    preprocessing = _preprocessing(file, taken, options, TASKS[task])
    macs, parameters = _costs(network, taken)
    quantized = any(node.get_type_name() == "FakeQuantize" for node in network.get_ops())
    most = _most_images(network, taken)
    steps = Steps(OpenVinoOperations(), preprocessing)
    images = openvino().opset15.parameter([most, -1, -1, taken.channels], np.uint8, name="images")
    images.output(0).set_names({"images"})
    view = steps.whole_view(images) if taken.any_size else steps.view(images)
    alone = network.clone()
    (given,) = network.get_parameters()
    given.output(0).replace(_network_input(steps, steps.normalized(images, view), taken, options.bgr).output(0))
    answers = TASKS[task].answers(Given(file, network, steps, view, partial(_infer, alone, taken)), options)
    notes = answers.notes
    if len(options.classes) > len(answers.state.get("classes", options.classes)):
        notes = (*notes, f"The first name of --classes, '{options.classes[0]}', names none of the file's scores.")
    folder.mkdir(parents=True, exist_ok=True)
    openvino().save_model(_graph(answers.outputs, images), folder / MAIN, compress_to_fp16=False)
    card = ExportCard(
        convolve=__version__,
        task=task,
        network=file.stem,
        title=file.name,
        paper="",
        parameters=parameters,
        macs=macs,
        input=preprocessing,
        engine="openvino",
        precision="int8" if quantized else "fp32",
        main=MAIN,
        state=answers.state,
        source={"file": file.name},
        notes=notes,
        versions={"convolve": __version__, "openvino": openvino().__version__},
    )
    write_card(folder, card)
    return card


def _read(file: Path) -> Any:
    if file.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{file} is none of the files that OpenVINO reads; give one of {', '.join(SUFFIXES)}.")
    if not file.is_file():
        raise ExportError(f"{file} does not exist; give the file of a network.")
    try:
        return read_network(file)
    except ValueError as error:
        raise ExportError(f"{file} cannot be read ({error}); save it anew in the program that wrote it.") from error


def _input_of(file: Path, network: Any, options: ForeignOptions, *, any_size: bool) -> _Input:
    """What the network takes. Raises `ExportError` where that is no image, and `OptionError` for its size."""
    if len(network.inputs) != 1:
        names = ", ".join(sorted(each.get_any_name() for each in network.inputs))
        raise ExportError(f"{file} has {len(network.inputs)} inputs ({names}), and an export takes images alone.")
    shape, kind = network.inputs[0].get_partial_shape(), network.inputs[0].get_element_type()
    if shape.rank.is_dynamic or len(shape) != 4 or kind.to_string() not in ("f32", "f16", "u8"):
        raise ExportError(f"{file} takes {shape} numbers of the type {kind.to_string()}, which are no images.")
    sides = [side.get_length() if side.is_static else 0 for side in (shape[axis] for axis in (1, 2, 3))]
    last = sides[2] in (1, 3) and sides[0] not in (1, 3)
    channels = sides[2] if last else sides[0]
    if any_size and not any(sides):
        last, channels = _find_channels(network)
    if channels not in (1, 3):
        hint = "" if any(sides) else "; if it gives images of any size, say --task restore"
        raise ExportError(f"{file} takes {shape} numbers, which are neither color nor gray images{hint}.")
    height, width = sides[:2] if last else sides[1:]
    if options.size and any(side not in (0, asked) for side, asked in zip((height, width), options.size, strict=True)):
        raise OptionError(f"{file} takes images of {width}x{height} pixels; omit --input.")
    if any_size and (height or width):
        raise ExportError(
            f"{file} takes images of {width or 'any'}x{height or 'any'} pixels alone; restoration needs a network for "
            "images of any size."
        )
    height, width = options.size or ((_EXAMPLE, _EXAMPLE) if any_size else (height, width))
    if not all(1 <= side <= _LARGEST_SIDE for side in (height, width)):
        raise OptionError(f"{file} takes images of any size; say which with --input, such as {channels}x224x224.")
    return _Input(last, channels, height, width, kind.to_string() == "u8", any_size)


def _find_channels(network: Any) -> tuple[bool, int]:
    """Whether channels come last in an input that says nothing of itself, and how many the network can take; 0 where
    that is none of 1 and 3.
    """
    for last, channels in ((False, 1), (False, 3), (True, 1), (True, 3)):
        tried = network.clone()
        size = [_EXAMPLE, _EXAMPLE]
        with contextlib.suppress(RuntimeError):
            tried.reshape({tried.inputs[0]: [1, *size, channels] if last else [1, channels, *size]})
            return last, channels
    return False, 0


def _preprocessing(file: Path, taken: _Input, options: ForeignOptions, task: ForeignTask) -> Preprocessing:
    """As a run has it: of RGB pixels from 0 to 1. Raises `OptionError`."""
    fit = options.fit or task.fit
    if taken.eight_bits and (options.mean or options.scale):
        raise OptionError(f"{file} takes pixels as they are, in 8 bits; omit --mean and --scale.")
    if options.bgr and taken.channels == 1:
        raise OptionError(f"{file} takes gray images; omit --bgr.")
    if fit != task.fit and "tiles" in (fit, task.fit):
        raise OptionError(
            "The network of another program sees whole images; use --fit stretch, crop or letterbox."
            if fit == "tiles"
            else f"--fit {fit} is not available for the task {options.task}; omit it."
        )
    mean = _each("mean", options.mean or (0.0,), taken.channels)
    scale = _each("scale", options.scale or (task.scale,), taken.channels)
    if not all(0 < value < math.inf for value in scale) or not all(map(math.isfinite, mean)):
        raise OptionError("scale cannot be 0 or below, and mean and scale must be finite numbers.")
    means = tuple(value / 255 for value in mean)
    deviations = tuple(1 / (255 * value) for value in scale)
    if options.bgr:
        means, deviations = means[::-1], deviations[::-1]
    return Preprocessing(taken.height, taken.width, taken.channels, fit, means, deviations)


def _each(name: str, values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise OptionError(f"{name} has {len(values)} numbers; give one, or one for each of the {channels} channels.")
    return values * channels if len(values) == 1 else values


def _most_images(network: Any, taken: _Input) -> int:
    """-1 where the network takes any number of images, after it was made to do so; else 1.

    Some files hold a number of images in their middle: whether this one does is seen by the answers for two.
    """
    name = network.inputs[0]
    random = np.random.default_rng(0)
    images = random.integers(0, 256, taken.shape(2)).astype(np.uint8 if taken.eight_bits else np.float32)
    try:
        single = network.clone()
        single.reshape({single.inputs[0]: taken.shape(1)})
        alone = [_run(single, images[index : index + 1]) for index in range(2)]
        several = network.clone()
        several.reshape({several.inputs[0]: taken.shape(-1)})
        together = _run(several, images)
    except RuntimeError:
        network.reshape({name: taken.shape(1)})
        return 1
    joined = [np.concatenate(parts) for parts in zip(*alone, strict=True)]
    alike = all(
        one.shape == other.shape and np.allclose(one, other, rtol=1e-2, atol=1e-3)
        for one, other in zip(joined, together, strict=True)
    )
    network.reshape({name: taken.shape(-1 if alike else 1, (-1, -1) if taken.any_size else None)})
    return -1 if alike else 1


def _infer(network: Any, taken: _Input, images: Floats) -> Any:
    """The first output of a network for images (1, H, W, C)."""
    single = network.clone()
    single.reshape({single.inputs[0]: taken.shape(1, (images.shape[1], images.shape[2]))})
    return _run(single, images if taken.last else np.ascontiguousarray(images.transpose(0, 3, 1, 2)))[0]


def _run(network: Any, images: Any) -> list[Any]:
    found = openvino_core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([images])
    return [np.array(found[index], dtype=np.float64) for index in range(len(network.outputs))]


def _costs(network: Any, taken: _Input) -> tuple[int, int]:
    """Multiply-adds of one image in convolutions and products of matrices, and the numbers that are stored."""
    single = network.clone()
    with contextlib.suppress(RuntimeError):
        single.reshape({single.inputs[0]: taken.shape(1)})
    macs = parameters = 0
    for node in single.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Constant" and math.prod(node.get_output_shape(0)) > 1:
            stored = node.get_output_element_type(0).to_string() in _WEIGHTS
            parameters += math.prod(node.get_output_shape(0)) if stored else 0
        if kind in ("Convolution", "GroupConvolution", "MatMul") and node.get_output_partial_shape(0).is_static:
            shapes = [node.get_input_partial_shape(1), node.get_output_partial_shape(0)]
            if all(shape.is_static for shape in shapes):
                macs += _products(kind, *(list(shape.to_shape()) for shape in shapes))
    return macs, parameters


def _products(kind: str, weights: list[int], found: list[int]) -> int:
    """Of a layer, by the shapes of its weights and of what it gives."""
    if kind == "MatMul":
        return math.prod(found) * math.prod(weights) // max(found[-1], 1)
    taken = weights[2:] if kind == "GroupConvolution" else weights[1:]
    return math.prod(found) * math.prod(taken)


def _network_input(steps: Steps, pixels: Any, taken: _Input, bgr: bool) -> Any:
    """What the network takes, of normalized images (N, C, height, width), RGB."""
    ops = openvino().opset15
    if bgr:
        pixels = ops.gather(pixels, ops.constant(np.array([2, 1, 0])), ops.constant(1))
    if taken.last:
        pixels = steps.do.transpose(pixels, (0, 2, 3, 1))
    return ops.convert(ops.round(pixels, "half_to_even"), "u8") if taken.eight_bits else pixels


def _graph(answers: Mapping[str, Any], images: Any) -> Any:
    results = []
    for name, value in answers.items():
        output = value.output(0)
        output.set_names({name})
        results.append(openvino().opset15.result(output, name=name))
    return openvino().Model(results, [images], "convolve")
