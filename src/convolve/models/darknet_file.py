"""A network from a Darknet `.cfg`: its layers in stages (`models.graph_stages`), and a head, such as the upper layers
of YOLO v3 with their routes.

Deviations: convolutions that give the boxes of YOLO v2 and v3 start at N(0, 0.01²), in v3 with a probability of 0.01
that there is an object, so that first boxes are anchors; in the program they start as all others do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.layers.anchor_grid import start_from_anchors
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.layer_graph import GraphOutputs
from convolve.layers.yolo_v1 import DetectionOutput
from convolve.layers.yolo_v2 import RegionOutput
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models.darknet_head import Scores, read_scores
from convolve.models.darknet_layers import HEADS, WEIGHTED, Layer, Options, Shape, read_layer
from convolve.models.graph_stages import GraphLayer, by_name, find_cut, join, largest_stride, make_stages, name_of
from convolve.models.network import Card, Network, Variant, title_in_file
from convolve.untrusted.darknet import Section, read_cfg

_MOST_WEIGHTS = 2**30
_LARGEST_SIDE, _MOST_CHANNELS = 2**13, 64
_ENDS = (*HEADS, "softmax", "cost")


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
    largest = largest_stride(_graph_layers(layers))
    grid = any(layer.options.kind in ("yolo", "region") for layer in layers)
    whole = grid and not image.height % largest and not image.width % largest
    return Card(
        name=path,
        title=title_in_file(path),
        authors="not stated",
        year=None,
        venue="Darknet .cfg",
        address="https://pjreddie.com/darknet",
        input=(image.channels, image.height, image.width),
        classes=scores.classes,
        minimum=largest,
        parameters=sum(value.numel() for layer in layers for value in layer.module.parameters()),
        output="boxes" if scores.boxes else "image",
        multiple=largest if whole else 1,
        own_channels=True,
        normalized=any(isinstance(module, nn.BatchNorm2d) for layer in layers for module in layer.module.modules()),
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


def _assemble(card: Card, layers: Sequence[Layer], scores: Scores) -> Network:
    last = max(output.layer for output in scores.outputs)
    if not scores.boxes:  # up to the scores: probabilities are made elsewhere
        last = max(index for index, layer in enumerate(layers) if layer.options.kind not in ("softmax", "cost"))
    graph = _graph_layers(layers)
    end = min((index for index, layer in enumerate(layers) if layer.options.kind in _ENDS), default=len(layers))
    cut = find_cut(graph, end, several=scores.boxes is not None)
    if cut is None:
        raise layers[0].options.error("would be in the head, and a network needs a layer with a map before it")
    stages, names = make_stages(graph, cut)
    inner = range(cut.first, last + 1)
    rest = {index: graph[index] for index in inner if layers[index].options.kind not in HEADS}
    if scores.boxes is None:
        head = nn.Sequential(OrderedDict(layers=join(rest, graph), flatten=nn.Flatten()))
        return Network(card, stages, head)
    inputs = sorted({source for index in inner for source in layers[index].sources if source < cut.first})
    boxes = scores.boxes()
    for output in scores.outputs if isinstance(boxes, YoloOutput | RegionOutput) else ():
        for layer in layers[output.layer].module.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                start_from_anchors(layer, output.per_class, rare=isinstance(boxes, YoloOutput))
    outputs = GraphOutputs(
        *by_name(rest, graph),
        [name_of(graph, index) for index in inputs],
        [name_of(graph, output.layer) for output in scores.outputs],
        flat=isinstance(boxes, DetectionOutput),
    )
    head_inputs = tuple(names[index] for index in inputs)
    return Network(card, stages, ConvolutionalBoxHead(outputs, boxes, card.multiple), head_inputs=head_inputs)


def _graph_layers(layers: Sequence[Layer]) -> list[GraphLayer]:
    return [
        GraphLayer(
            str(index), layer.module, layer.sources, layer.shape.channels, layer.stride, layer.options.kind in WEIGHTED
        )
        for index, layer in enumerate(layers)
    ]
