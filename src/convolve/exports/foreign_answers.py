"""What the numbers that leave a network of another program say: probabilities, the class of each pixel, or points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from convolve.choices import BACKGROUNDS, Fit
from convolve.datasets.class_colors import MASK_COLORS
from convolve.datasets.point_sets import COCO, describe_points
from convolve.errors import ExportError, OptionError
from convolve.interop.graph_operations import Steps, View
from convolve.untrusted.networks import openvino
from convolve.values import Floats

if TYPE_CHECKING:
    from convolve.exports.foreign import ForeignOptions

_PASSED: Final = {"Convert", "FakeQuantize", "Reshape", "Squeeze", "Unsqueeze", "Transpose"}
"""Operations after the last layer that leave the order of scores as it is."""
_COLORS: Final = 3
_NUMBERS: Final = 3  # of a point: y, x, score
_KERNELS: Final = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData")
_TRIED, _CLOSE = 8, 1e-3
"""The side of a part by which a margin is tried, and how far apart its pixels may be, as part of the largest."""
_SEVERAL: Final = "The file gives each class a probability of its own (sigmoid), so an image may have several labels."
_POSITIONS: Final = "Points are taken to be y, x as fractions of the input's sides, and a score, as MoveNet gives them."
_LIKELIEST: Final = "The file gives each class a probability of its own (sigmoid); a pixel is of the likeliest one."


@dataclass(frozen=True)
class Given:
    """A file's network with the steps before it, and how images lie in its input; ``infer`` gives what leaves the
    network alone, for (1, H, W, C) numbers of an image.
    """

    file: Path
    network: Any
    steps: Steps
    view: View
    infer: Callable[[Floats], Any]

    def scores(self) -> Any:
        """The one output, as it is before a last step to 8 bits. Raises `ExportError`."""
        results = self.network.get_results()
        if len(results) != 1:
            names = ", ".join(sorted(each.get_any_name() for each in self.network.outputs))
            raise ExportError(
                f"{self.file} has {len(results)} outputs ({names}), and a network of this kind has one; cut it down to "
                "its scores in the program that wrote it."
            )
        source = results[0].input_value(0)
        node = source.get_node()
        if node.get_type_name() != "Convert" or not node.input_value(0).get_element_type().is_real():
            return source
        before = node.input_value(0).get_node()
        return before.input_value(0) if before.get_type_name() == "FakeQuantize" else node.input_value(0)


@dataclass(frozen=True)
class Answers:
    """What leaves the graph by name, the state of the task, and sentences on what was assumed."""

    outputs: Mapping[str, Any]
    state: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def class_probabilities(given: Given, options: ForeignOptions) -> Answers:
    """(N, classes) of the file's scores; several labels of an image where each has its own. Raises `ExportError`."""
    ops, scores = openvino().opset15, given.scores()
    shape = scores.get_partial_shape()
    sides = [shape[axis] for axis in range(1, len(shape))]
    count = math.prod(side.get_length() for side in sides) if sides and all(side.is_static for side in sides) else 0
    if count < 2 or max(side.get_length() for side in sides) != count:
        raise ExportError(
            f"{given.file} gives {shape} numbers, and no score for each of two or more classes; "
            "--task segment takes scores of each pixel."
        )
    classes = _names(given.file, options.classes, count)
    flat = ops.reshape(scores, ops.constant(np.array([-1, count])), special_zero=False)
    if _are_probabilities(scores):
        return Answers({"probabilities": flat}, _classifier_state(classes))
    if options.task is None and not options.classes:
        numbers = f"{given.file} gives {count:,} numbers of an image, which may be no scores"
        raise ExportError(f"{numbers}; if they are, say --task classify, or name the classes with --classes FILE.")
    if _is_sigmoid(scores):
        return Answers({"probabilities": flat}, _classifier_state(classes, multi_label=True), (_SEVERAL,))
    note = "The file gives plain scores; the export makes probabilities of them by softmax."
    return Answers({"probabilities": ops.softmax(flat, 1)}, _classifier_state(classes), (note,))


def pixel_classes(given: Given, options: ForeignOptions) -> Answers:
    """The class of each pixel of the images, and its probability where the file has scores. Raises `ExportError`."""
    ops, scores = openvino().opset15, given.scores()
    if given.steps.preprocessing.fit != "stretch":
        raise OptionError(f"The pixels of {given.file} can only be laid over whole images; use --fit stretch.")
    shape = scores.get_partial_shape()
    sides = [shape[axis].get_length() if shape[axis].is_static else -1 for axis in range(len(shape))]
    own = given.steps.do.join([given.view.own.height, given.view.own.width])
    sizes: dict[str, Any] = {"coordinate_transformation_mode": "half_pixel", "axes": ops.constant([2, 3])}
    if not scores.get_element_type().is_real():
        squeezed = [axis for axis in range(1, len(sides)) if sides[axis] == 1]
        maps = ops.squeeze(scores, ops.constant(np.array(squeezed))) if len(sides) == 4 and squeezed else scores
        if len(maps.get_output_partial_shape(0) if maps is not scores else shape) != 3:
            raise ExportError(f"{given.file} gives {shape} numbers, and no class for each pixel.")
        maps = ops.unsqueeze(ops.convert(maps, "f32"), ops.constant([1]))
        large = ops.interpolate(maps, own, "nearest", "sizes", nearest_mode="round_prefer_floor", **sizes)
        classes = ops.convert(ops.squeeze(large, ops.constant([1])), "u8")
        names = _names(given.file, options.classes, _compared(given.file, scores, options))
        return Answers({"classes": classes}, _segmentation_state(names))
    axis = _class_axis(given.file, sides, options)
    if math.prod(sides[1:]) == sides[axis]:
        raise ExportError(f"{given.file} gives {shape} numbers for a whole image, and none for its pixels.")
    order = [0, axis, *(other for other in (1, 2, 3) if other != axis)]
    maps = ops.transpose(scores, ops.constant(np.array(order)))
    known = _are_probabilities(scores) or _is_sigmoid(scores)
    probabilities = maps if known else ops.softmax(maps, 1)
    found, confidence = given.steps.most_likely_classes(probabilities, given.view, "uint8")
    names = _names(given.file, options.classes, sides[axis])
    if sides[axis] == _COLORS and not options.classes and not _are_probabilities(scores):
        raise ExportError(
            f"{given.file} gives three numbers for each pixel, which may be the colors of an image; if they are scores "
            "of classes, name these with --classes FILE."
        )
    notes = (_LIKELIEST,) if _is_sigmoid(scores) else ()
    return Answers({"classes": found, "confidence": confidence}, _segmentation_state(names), notes)


def point_positions(given: Given, options: ForeignOptions) -> Answers:
    """(N, P, 2) the points in the images' pixels and (N, P) their scores, of y, x and score of each point. Raises
    `ExportError`.
    """
    ops, found = openvino().opset15, given.scores()
    shape = found.get_partial_shape()
    count = _count_points(shape)
    if not count:
        raise ExportError(
            f"{given.file} gives {shape} numbers, and not y, x and a score for each point of one object in the image."
        )
    names = _names(given.file, options.classes or (COCO if count == len(COCO) else ()), count)
    rows = ops.reshape(found, ops.constant(np.array([-1, count, _NUMBERS])), special_zero=False)
    fractions = ops.gather(rows, ops.constant(np.array([1, 0])), ops.constant(2))  # x and y
    sides = np.array([given.steps.preprocessing.width, given.steps.preprocessing.height], np.float32)
    points = given.steps.points_in_images(ops.multiply(fractions, ops.constant(sides)), given.view)
    state = {**describe_points(names).state(), "has_heatmaps": True}  # which say how sure they are
    scores = ops.gather(rows, ops.constant(2), ops.constant(2))
    return Answers({"points": points, "confidence": scores}, state, (_POSITIONS,))


def restored_images(given: Given, options: ForeignOptions) -> Answers:
    """(N, upscale H, upscale W, C) from 0 to 255; the state says how much larger they are, and how far around a pixel
    the network looks. Raises `ExportError`.
    """
    del options
    ops, output, size = openvino().opset15, given.scores(), given.steps.preprocessing
    shape = given.infer(np.zeros((1, size.height, size.width, size.channels), np.float32)).shape
    last = len(shape) == 4 and shape[3] == size.channels
    channels, *sides = (shape[3], *shape[1:3]) if last else shape[1:]
    upscale = sides[0] // size.height if sides else 0
    if channels != size.channels or not upscale or sides != [upscale * size.height, upscale * size.width]:
        raise ExportError(
            f"{given.file} gives {'x'.join(map(str, shape[1:]))} numbers for an image of {size.width}x{size.height} "
            f"pixels and {size.channels} channels, and no restored image of it."
        )
    images = output if last else ops.transpose(output, ops.constant(np.array([0, 2, 3, 1])))
    scales, shifts = (np.float32(255) * np.array(values, np.float32) for values in (size.std, size.mean))
    levels = ops.add(ops.multiply(images, ops.constant(scales)), ops.constant(shifts))
    state = {"upscale": upscale, "margin": _margin(given, upscale, last=last)}
    return Answers({"restored": levels}, state)


@dataclass(frozen=True)
class ForeignTask:
    """How a task reads what leaves a network, how images are fitted to its input unless something else is said, and
    what pixels from 0 to 255 are multiplied by; whether the network must take images of ``any_size``.
    """

    answers: Callable[[Given, ForeignOptions], Answers]
    fit: Fit = "stretch"
    scale: float = 1.0
    any_size: bool = False


TASKS: Final[Mapping[str, ForeignTask]] = {
    "classify": ForeignTask(class_probabilities),
    "segment": ForeignTask(pixel_classes),
    "landmarks": ForeignTask(point_positions, "letterbox"),
    "restore": ForeignTask(restored_images, "tiles", 1 / 255, any_size=True),
}
"""By the task's name; the first one is taken where nothing else is said or seen."""


def guess_task(network: Any) -> str:
    """The task of a network by the shape of what leaves it: that of COCO's points is not mistaken for scores."""
    shapes = [output.get_partial_shape() for output in network.outputs]
    return "landmarks" if len(shapes) == 1 and _count_points(shapes[0]) == len(COCO) else "classify"


def _count_points(shape: Any) -> int:
    """Of how many points of one object the numbers of a shape (N, 1, P, 3) or (N, P, 3) are; 0 for other shapes."""
    sides = [side.get_length() if side.is_static else 0 for side in shape] if shape.rank.is_static else []
    fits = len(sides) in (3, 4) and sides[-1] == _NUMBERS and all(side == 1 for side in sides[1:-2])
    return int(sides[-2]) if fits else 0


def _margin(given: Given, upscale: int, *, last: bool) -> int:
    """How many pixels around one its restored pixels are made from, by the network's kernels. Raises `ExportError`
    where they are made from more.
    """
    kernels = [node for node in given.network.get_ops() if node.get_type_name() in _KERNELS]
    reaches = [
        max(side // 2 * step for side, step in zip(list(shape)[-2:], node.get_attributes()["dilations"], strict=True))
        for node in kernels
        for shape in [node.get_input_shape(1)]
    ]
    margin = 1 + int(sum(reaches))
    side, channels = _TRIED + 4 * margin, given.steps.preprocessing.channels
    images = np.random.default_rng(0).random((1, side, side, channels), np.float32)
    whole, part = (
        np.array(given.infer(image)).squeeze()
        for image in (images, np.ascontiguousarray(images[:, margin:-margin, margin:-margin]))
    )
    inside, outside = (slice(upscale * count, -upscale * count) for count in (margin, 2 * margin))
    axes = (0, 1) if last or channels == 1 else (1, 2)
    own = [np.moveaxis(found, axes, (0, 1))[area, area] for found, area in ((whole, outside), (part, inside))]
    if np.abs(own[0] - own[1]).max() > _CLOSE * np.abs(own[0]).max():
        raise ExportError(f"{given.file} looks at all of an image for each pixel, so that none can be cut into tiles.")
    return margin


def _classifier_state(classes: tuple[str, ...], *, multi_label: bool = False) -> dict[str, Any]:
    confidence = {"temperature": 1.0, "reject": None}
    return {"classes": list(classes), "multi_label": multi_label, "confidence": confidence}


def _segmentation_state(classes: tuple[str, ...]) -> dict[str, Any]:
    return {"classes": list(classes), "colors": [list(color) for color in MASK_COLORS[: len(classes)]]}


def _last_operation(output: Any) -> Any:
    """The operation that made the scores what they are."""
    node = output.get_node()
    while node.get_type_name() in _PASSED:
        node = node.input_value(0).get_node()
    return node


def _is_sigmoid(output: Any) -> bool:
    return bool(_last_operation(output).get_type_name() == "Sigmoid")


def _are_probabilities(output: Any) -> bool:
    """Whether the scores come from a softmax: one operation, or powers divided by their sum."""
    node = _last_operation(output)
    if node.get_type_name() != "Divide":
        return bool(node.get_type_name() == "Softmax")
    powers, total = (node.input_value(number).get_node() for number in range(2))
    kinds = powers.get_type_name(), total.get_type_name()
    return kinds == ("Exp", "ReduceSum") and bool(total.input_value(0).get_node() == powers)


def _compared(file: Path, classes: Any, options: ForeignOptions) -> int:
    """How many scores the file itself has found the largest of, else how many names there are. Raises `OptionError`."""
    node = _last_operation(classes)
    if node.get_type_name() == "TopK":
        shape, axis = node.input_value(0).get_partial_shape(), int(node.get_attributes()["axis"])
        if shape.rank.is_static and shape[axis].is_static:
            return int(shape[axis].get_length())
    if not options.classes:
        raise OptionError(f"{file} does not say how many classes it has; name them with --classes FILE.")
    return len(options.classes)


def _class_axis(file: Path, sides: list[int], options: ForeignOptions) -> int:
    """Where the classes are in scores of four axes. Raises `ExportError`."""
    fitting = [axis for axis in (1, 3) if len(sides) == 4 and sides[axis] > 1]
    if options.classes:
        fitting = [axis for axis in fitting if sides[axis] == len(options.classes)] or fitting
    if not fitting:
        raise ExportError(f"{file} gives scores of {sides} axes, and none for the classes of each pixel.")
    return min(fitting, key=lambda axis: sides[axis])


def _names(file: Path, classes: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The classes' names: those given, without a background first where that is one too many, and with their numbers
    where several have one name; else numbers. Raises `OptionError`.
    """
    names = classes or tuple(map(str, range(count)))
    if len(names) == count + 1 and names[0].lower() in BACKGROUNDS:
        names = names[1:]
    if len(names) != count:
        raise OptionError(f"{file} gives {count:,} scores, but --classes has {len(names):,} names; give as many.")
    times = {name: names.count(name) for name in set(names)}
    return tuple(name if times[name] == 1 else f"{name} ({number})" for number, name in enumerate(names))
