"""A network from a Darknet `.cfg`: its layers in stages, and a head.

The stages are the longest beginning that is a chain of parts: no layer after a part takes what is inside of it. All
that follows, such as the upper layers of YOLO v3 with their routes, is the head. Where there is a choice, a stage
begins with the layer that makes the map smaller.

Deviations: convolutions that give the boxes of YOLO v2 and v3 start at N(0, 0.01²), in v3 with a probability of 0.01
that there is an object, so that first boxes are anchors; in the program they start as all others do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.anchor_grid import start_from_anchors
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet_graph import GraphOutputs, LayerGraph
from convolve.layers.yolo_v1 import DetectionOutput
from convolve.layers.yolo_v2 import RegionOutput
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models.darknet_head import Scores, read_scores
from convolve.models.darknet_layers import HEADS, WEIGHTED, Layer, Options, Shape, read_layer
from convolve.models.network import Card, Network, Stage, Variant
from convolve.untrusted.darknet import Section, read_cfg

_MOST_WEIGHTS = 2**30
_LARGEST_SIDE, _MOST_CHANNELS = 2**13, 64


def variant(path: str) -> Variant:
    """The network that a `.cfg` describes, without its weights. Raises `NetworkError`."""
    try:
        net, *sections = read_cfg(path)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise NetworkError(
            f"{path} cannot be read as a Darknet network ({reason}); choose another file or a network's name."
        ) from error
    options = Options(path, net, known=" ".join(net.options))
    image = Shape(
        options.whole("channels", 0, 1, _MOST_CHANNELS),
        options.whole("height", 0, 1, _LARGEST_SIDE),
        options.whole("width", 0, 1, _LARGEST_SIDE),
    )
    with torch.device("meta"):
        layers = _read_layers(path, sections, image)
        scores = read_scores(layers, image)
        modules = nn.ModuleList([layer.module for layer in layers])
    parameters = sum(value.numel() for value in modules.parameters())
    if parameters > _MOST_WEIGHTS:
        raise NetworkError(f"{path} has {parameters:,} weights, more than can be used; choose another network.")
    return Variant(_card(path, image, layers, scores), partial(_build, sections))


def _card(path: str, image: Shape, layers: Sequence[Layer], scores: Scores) -> Card:
    largest = int(max((stride for stride in _strides(layers) if stride is not None), default=1))
    grid = any(layer.options.kind in ("yolo", "region") for layer in layers)
    whole = grid and not image.height % largest and not image.width % largest
    normalized = any(isinstance(module, nn.BatchNorm2d) for layer in layers for module in layer.module.modules())
    return Card(
        name=path,
        title="Darknet: open source neural networks in C",
        authors="not stated",
        year=2016 if normalized else 2013,  # the program's last and first
        venue="Darknet .cfg",
        address="https://pjreddie.com/darknet",
        input=(image.channels, image.height, image.width),
        classes=scores.classes,
        minimum=largest,
        parameters=sum(value.numel() for layer in layers for value in layer.module.parameters()),
        output="boxes" if scores.boxes else "image",
        multiple=largest if whole else 1,
        own_channels=True,
    )


def _build(sections: Sequence[Section], card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """With another number of classes than in the file, the layers whose outputs leave the network get other sizes."""
    image = Shape(channels, *size)
    with torch.device("meta"):
        layers = _read_layers(card.name, sections, Shape(channels, *card.input[1:]))
        scores = read_scores(layers, Shape(*card.input))
    widths = {output.layer: output.width(classes) for output in scores.outputs} if classes != card.classes else {}
    for index in widths:
        layer = layers[index]
        if layer.options.kind not in ("convolutional", "connected"):
            raise layer.options.error(f"cannot give {classes} classes", f"use the {card.classes} of the file")
    return _assemble(card, _read_layers(card.name, sections, image, widths), scores)


def _read_layers(
    path: str, sections: Sequence[Section], image: Shape, widths: Mapping[int, int] | None = None
) -> list[Layer]:
    layers: list[Layer] = []
    for index, section in enumerate(sections):
        layers.append(read_layer(path, section, layers, image, (widths or {}).get(index)))
    return layers


def _strides(layers: Sequence[Layer]) -> list[Fraction | None]:
    """Pixels of the image per step of each layer's map; None where it has no steps."""
    strides: list[Fraction | None] = []
    for layer in layers:
        before = strides[layer.sources[0]] if layer.sources[0] >= 0 else Fraction(1)
        strides.append(None if before is None or layer.stride is None else before * layer.stride)
    return strides


def _assemble(card: Card, layers: Sequence[Layer], scores: Scores) -> Network:
    last = max(output.layer for output in scores.outputs)
    if not scores.boxes:  # up to the scores: probabilities are made elsewhere
        last = max(index for index, layer in enumerate(layers) if layer.options.kind not in ("softmax", "cost"))
    strides = _strides(layers)
    first, ends = _cut(layers, strides, several=scores.boxes is not None)
    edges = [source for layer in layers[first : last + 1] for source in layer.sources if source < first]
    stages: dict[str, Stage] = {}
    names: dict[int, str] = {}
    start = 0
    for number, end in enumerate(ends, 1):
        names[end] = f"stage{number}"
        stride = strides[end]
        part = {index: layers[index] for index in range(start, end + 1)}
        stages[names[end]] = Stage(_graph(part, start - 1), layers[end].shape.channels, int(stride or 1))
        start = end + 1
    rest = {index: layers[index] for index in range(first, last + 1) if layers[index].options.kind not in HEADS}
    if scores.boxes is None:
        head = nn.Sequential(OrderedDict(layers=_graph(rest, first - 1), flatten=nn.Flatten()))
        return Network(card, stages, head)
    inputs = sorted({*edges})
    boxes = scores.boxes()
    for output in scores.outputs if isinstance(boxes, YoloOutput | RegionOutput) else ():
        for layer in layers[output.layer].module.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                start_from_anchors(layer, output.per_class, rare=isinstance(boxes, YoloOutput))
    graph = GraphOutputs(
        {index: layer.module for index, layer in rest.items()},
        {index: layer.sources for index, layer in rest.items()},
        inputs,
        [output.layer for output in scores.outputs],
        flat=isinstance(boxes, DetectionOutput),
    )
    head_inputs = tuple(names[index] for index in inputs)
    return Network(card, stages, ConvolutionalBoxHead(graph, boxes, card.multiple), head_inputs=head_inputs)


def _cut(layers: Sequence[Layer], strides: Sequence[Fraction | None], *, several: bool) -> tuple[int, tuple[int, ...]]:
    """The index of the first layer of the head, as late as can be, and of the last layer of each stage. The head takes
    the last stage's map, or those of ``several``.
    """
    for first in range(_latest_head(layers, strides), 0, -1):
        ends = _chain(layers[:first])
        taken = {source for layer in layers[first:] for source in layer.sources if source < first}
        if taken <= (ends if several else {first - 1}):
            needed = {first - 1, *taken}
            known = {strides[index] for index in needed} | {Fraction(1)}
            shrinking = {
                index for index in ends - needed if (layers[index + 1].stride or 0) > 1 and strides[index] not in known
            }
            return first, tuple(sorted(needed | shrinking))
    raise layers[0].options.error("would be in the head, and a network needs a layer with a map before it")


def _latest_head(layers: Sequence[Layer], strides: Sequence[Fraction | None]) -> int:
    """The first layer that cannot be in a stage: the last one with weights before any output, and what has no map or
    makes one larger.
    """
    ends = [index for index, layer in enumerate(layers) if layer.options.kind in (*HEADS, "softmax", "cost")]
    end = min(ends, default=len(layers))
    weighted = [index for index, layer in enumerate(layers[:end]) if layer.options.kind in WEIGHTED]
    flat = [index for index, stride in enumerate(strides) if stride is None or (layers[index].stride or 0) < 1]
    return min([*flat, end, *weighted[-1:]])


def _chain(layers: Sequence[Layer]) -> set[int]:
    """The layers after which a stage may end: what follows, among these layers, takes nothing from before."""
    ends: set[int] = set()
    earliest = len(layers)
    for index in range(len(layers) - 1, -1, -1):
        if earliest >= index:
            ends.add(index)
        earliest = min(earliest, *layers[index].sources)
    return ends


def _graph(layers: Mapping[int, Layer], start: int) -> nn.Module:
    """The layers, by their indices, as a module that takes the output of layer ``start``."""
    sources = {index: layer.sources for index, layer in layers.items()}
    modules = {index: layer.module for index, layer in layers.items()}
    if all(taken == (index - 1,) for index, taken in sources.items()):
        return nn.Sequential(OrderedDict((str(index), module) for index, module in modules.items()))
    return LayerGraph(modules, sources, start)
