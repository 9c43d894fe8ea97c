"""The end of a Darknet `.cfg`: which outputs leave the network, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from convolve.layers.yolo_v1 import DetectionOptions, DetectionOutput
from convolve.layers.yolo_v2 import RegionOptions, RegionOutput
from convolve.layers.yolo_v3 import YoloOptions, YoloOutput
from convolve.models.darknet_layers import HEADS, Layer, Options, Shape

_MOST_CLASSES: Final = 10_000
_MOST_ANCHORS: Final = 100
_BOX_VALUES: Final = 5
"""Center, width, height and objectness."""
_AFTER_SCORES: Final = ("softmax", "cost", "avgpool", "dropout")


BoxOutput = YoloOutput | RegionOutput | DetectionOutput


class Output(NamedTuple):
    """A layer, by index, whose output leaves the network: ``per_class`` values for each class, and ``others``."""

    layer: int
    per_class: int
    others: int

    def width(self, classes: int) -> int:
        """How many values there are at one position."""
        return self.per_class * classes + self.others


class Scores(NamedTuple):
    """What leaves a network for ``classes``: the ``outputs``, and what makes the reader of the ``boxes`` in them, if
    that is what they mean.
    """

    outputs: tuple[Output, ...]
    classes: int
    boxes: Callable[[], BoxOutput] | None = None


def read_scores(layers: Sequence[Layer], image: Shape) -> Scores:
    """What the outputs of these layers mean. Raises `NetworkError`."""
    heads = [(index, layer) for index, layer in enumerate(layers) if layer.options.kind in HEADS]
    if not heads:
        return _class_scores(layers)
    kind = heads[0][1].options.kind
    for layer in layers:
        if layer.options.kind in {*HEADS, "softmax"} - {kind}:
            raise layer.options.error(f"is in a network that ends with [{kind}]")
    if kind != "yolo" and len(heads) > 1:
        raise heads[1][1].options.error("is there twice")
    scores = _READERS[kind](heads, image)
    for output in scores.outputs:
        layer, width = layers[output.layer], output.width(scores.classes)
        if layer.shape.channels != width:
            raise layer.options.error(f"gives {layer.shape.channels:,} channels, and [{kind}] takes {width:,}")
    return scores


def _class_scores(layers: Sequence[Layer]) -> Scores:
    last = len(layers) - 1
    while last > 0 and layers[last].options.kind in _AFTER_SCORES:
        last -= 1
    softmax = [index for index, layer in enumerate(layers) if layer.options.kind == "softmax"]
    end, shape = layers[-1], layers[-1].shape
    if softmax and any(layer.options.kind not in ("softmax", "cost") for layer in layers[softmax[0] :]):
        raise layers[softmax[0]].options.error("is followed by more layers")
    if (shape.height, shape.width) != (1, 1):
        raise end.options.error(
            f"gives a map of {'x'.join(map(str, shape))}, neither boxes nor one score for each class",
            "choose a network that ends with [yolo], [region], [detection] or [softmax]",
        )
    if layers[last].shape.channels != shape.channels:
        raise end.options.error("is not the end of a network")
    return Scores((Output(last, 1, 0),), shape.channels)


def _yolo(heads: Sequence[tuple[int, Layer]], image: Shape) -> Scores:
    del image
    first = heads[0][1].options
    anchors, classes = _anchors(first), _classes(first)
    masks, settings = [], []
    for _, layer in heads:
        options = layer.options
        if _anchors(options) != anchors or _classes(options) != classes:
            raise options.error("has other anchors or classes than the one before it")
        masks.append(options.wholes("mask", ",".join(map(str, range(len(anchors)))), 0, len(anchors) - 1))
        if len({*masks[-1]}) != len(masks[0]) or not masks[0]:
            raise options.error("has a mask of another length than the one before it, or one that repeats an anchor")
        settings.append(
            YoloOptions(
                ignore=options.number("ignore_thresh", 0.5, 0, 1),
                accept=options.number("truth_thresh", 1.0, 0, 1),
                reach=options.number("scale_x_y", 1.0, 1, 4),
            )
        )
    outputs = tuple(
        Output(layer.sources[0], len(mask), _BOX_VALUES * len(mask))
        for (_, layer), mask in zip(heads, masks, strict=True)
    )
    return Scores(outputs, classes, lambda: YoloOutput(anchors, masks, *settings))


def _region(heads: Sequence[tuple[int, Layer]], image: Shape) -> Scores:
    layer = heads[0][1]
    options, classes = layer.options, _classes(layer.options)
    for name, value in {"coords": 4, "background": 0}.items():
        options.fixed(name, value)
    steps = image.width / layer.shape.width, image.height / layer.shape.height
    anchors = [(width * steps[0], height * steps[1]) for width, height in _anchors(options)]
    settings = RegionOptions(
        softmax=options.flag("softmax", default=False),
        rescore=options.flag("rescore", default=False),
        match_anchors=options.flag("bias_match", default=False),
        ignore=options.number("thresh", 0.5, 0, 1),
        object_scale=options.number("object_scale", 1.0),
        no_object_scale=options.number("noobject_scale", 1.0),
        class_scale=options.number("class_scale", 1.0),
        box_scale=options.number("coord_scale", 1.0),
    )
    output = Output(layer.sources[0], len(anchors), _BOX_VALUES * len(anchors))
    return Scores((output,), classes, lambda: RegionOutput(anchors, settings))


def _detection(heads: Sequence[tuple[int, Layer]], image: Shape) -> Scores:
    del image
    layer = heads[0][1]
    options, classes = layer.options, _classes(layer.options)
    for name, value in {"coords": 4, "softmax": 0}.items():
        options.fixed(name, value)
    side, boxes = options.whole("side", 7, 1, 100), options.whole("num", 1, 1, 100)
    settings = DetectionOptions(
        roots=options.flag("sqrt", default=False),
        rescore=options.flag("rescore", default=False),
        object_scale=options.number("object_scale", 1.0),
        no_object_scale=options.number("noobject_scale", 1.0),
        class_scale=options.number("class_scale", 1.0),
        box_scale=options.number("coord_scale", 1.0),
    )
    output = Output(layer.sources[0], side**2, side**2 * _BOX_VALUES * boxes)
    return Scores((output,), classes, lambda: DetectionOutput((side, side), boxes, settings))


def _classes(options: Options) -> int:
    return options.whole("classes", 20 if options.kind != "detection" else 1, 1, _MOST_CLASSES)


def _anchors(options: Options) -> list[tuple[float, float]]:
    values = options.numbers("anchors", "", 1e-3)
    count = options.whole("num", 1, 1, _MOST_ANCHORS)
    if len(values) != 2 * count:
        raise options.error(
            f"has num={count} and {len(values)} numbers as anchors, of which there must be two for each"
        )
    return list(zip(values[::2], values[1::2], strict=True))


_READERS: Final = {"yolo": _yolo, "region": _region, "detection": _detection}
