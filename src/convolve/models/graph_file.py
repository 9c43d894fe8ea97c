"""A network from a definition, as a run keeps it in `network.json`: its layers in stages (`models.graph_stages`), and a
head.

A softmax or a sigmoid at the end is left out, since scores leave a network without them. Weights are initialized as
the definition says, by default as torch does. With another number of classes the last layer with weights gets another
size.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError, shorten
from convolve.layers.graph_layers import Crop
from convolve.layers.initializers import glorot_uniform
from convolve.layers.layer_graph import GraphOutputs
from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition, from_document, to_document
from convolve.models.definition_layers import WEIGHTED, Shape, make_layer
from convolve.models.graph_stages import IMAGE as IMAGE_INDEX
from convolve.models.graph_stages import Cut, GraphLayer, by_name, find_cut, join, largest_stride, make_stages, name_of
from convolve.models.network import Card, Network, Output, Stage, Variant, title_in_file
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import read_file

_MOST_WEIGHTS = _MOST_VALUES = 2**30
_MOST_BYTES = 2**24
PASSING = ("identity", "dropout", "flatten", "reshape")
"""What may follow the scores without changing them."""
_TORCH_SAYS = (RuntimeError, ValueError, IndexError, TypeError, OverflowError)


class Scores(NamedTuple):
    """The index of the layer that gives the scores, how many there are, what they are for, and whether the probability
    of each class stands alone.
    """

    layer: int
    classes: int
    output: Output
    multi_label: bool


class Layers(NamedTuple):
    """The layers of a definition, made, and the shape of what each gives."""

    graph: list[GraphLayer]
    shapes: list[Shape]


@final
class PixelHead(nn.Module):
    """Layers that turn the maps of stages into one score of each pixel for each class."""

    def __init__(self, layers: GraphOutputs) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The stages' maps to (N, classes, H, W). Where a layer asks for the image's ``size``, a map without channels
        tells it.
        """
        if "" in self.layers.inputs:
            maps = [maps[0].new_empty(len(maps[0]), 0, *size), *maps]
        scores: Tensor = self.layers(maps)[0]
        if tuple(scores.shape[2:]) != tuple(size):
            raise NetworkError(
                f"The network gives {scores.shape[3]}x{scores.shape[2]} scores for an image of {size[1]}x{size[0]}; "
                "choose the size that it was made for."
            )
        return scores


def variant(path: str) -> Variant:
    """The network of a `network.json`, without its weights. Raises `NetworkError`."""
    return variant_of(path, read_definition(path))


def read_definition(path: str | Path) -> NetworkDefinition:
    """What a `network.json` holds. Raises `NetworkError`."""
    try:
        return from_document(parse_json(read_file(path, _MOST_BYTES)))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise NetworkError(
            f"{path} cannot be read as a network ({reason}); choose another file or a network's name."
        ) from error


def definition_text(definition: NetworkDefinition) -> str:
    """What a `network.json` holds."""
    return json.dumps(to_document(definition), ensure_ascii=False, indent=1)


def variant_of(name: str, definition: NetworkDefinition) -> Variant:
    """The network of a definition, without its weights. Raises `NetworkError`, which begins with the ``name``."""
    definition = _needed(definition)
    with torch.device("meta"):
        layers = _make_layers(name, definition, definition.input)
    scores = read_scores(name, definition, layers.shapes)
    modules = nn.ModuleList([layer.module for layer in layers.graph])
    card = Card(
        name=name,
        title=title_in_file(name, definition.title),
        authors="not stated",
        year=None,
        venue=definition.source,
        address="not stated",
        input=definition.input,
        classes=scores.classes,
        minimum=min(largest_stride(layers.graph), *definition.input[1:]),
        parameters=sum(value.numel() for value in modules.parameters()),
        output=scores.output,
        normalized=any(layer.kind == "batch_norm" for layer in definition.layers),
    )
    return Variant(card, partial(_build, definition))


def read_scores(name: str, definition: NetworkDefinition, shapes: Sequence[Shape]) -> Scores:
    """What the output of a network means. Raises `NetworkError` where no task of ours can read it."""
    if len(definition.outputs) > 1:
        outputs = ", ".join(definition.outputs)
        raise NetworkError(
            f"{name} has {len(definition.outputs)} outputs ({shorten(outputs)}), and there is no task that reads "
            "several; choose a network with one."
        )
    index = {layer.name: number for number, layer in enumerate(definition.layers)}
    layer = definition.layer(definition.outputs[0])
    multi_label, axis = False, 1
    while (kind := layer.kind) in (*PASSING, "softmax") or is_sigmoid(layer):
        if layer.inputs[0] == IMAGE:
            break
        multi_label = multi_label or is_sigmoid(layer)
        axis = layer.whole("axis") if kind == "softmax" else axis
        layer = definition.layer(layer.inputs[0])
        if kind not in PASSING:
            break
    shape = shapes[index[layer.name]]
    end = shapes[index[definition.outputs[0]]]
    flat = math.prod(shape) == shape[0] and math.prod(end) == end[0]
    if flat and axis == 1:
        return Scores(index[layer.name], shape[0], "image", multi_label)
    pixels = end == shape and len(shape) == 3 and shape[0] > 1 and shape[1:] == definition.input[1:]
    if pixels and axis == 1 and not multi_label:
        return Scores(index[layer.name], shape[0], "pixels", multi_label=False)
    raise NetworkError(
        f"{name} gives values of the shape {'x'.join(map(str, end))}, and there is no task that reads them; choose a "
        "network that gives scores of classes for an image or for each of its pixels."
    )


def scores_of(name: str, definition: NetworkDefinition) -> Scores:
    """What the output of a network means, see `read_scores`."""
    definition = _needed(definition)
    return read_scores(name, definition, layer_shapes(definition))


def layer_shapes(definition: NetworkDefinition) -> list[Shape]:
    """The shape of what each layer gives for one image. Raises `NetworkError`."""
    with torch.device("meta"):
        return _make_layers(definition.title, definition, definition.input).shapes


def whole_graph(definition: NetworkDefinition) -> GraphOutputs:
    """All of a definition's layers, which take a list of one batch of images; every layer's output leaves, in order.

    Raises `NetworkError`.
    """
    graph = _make_layers(definition.title, definition, definition.input).graph
    return GraphOutputs(*by_name(dict(enumerate(graph)), graph), [""], [layer.name for layer in graph])


def tensor_names(definition: NetworkDefinition, network: nn.Module) -> dict[str, str]:
    """The names of parameters and buffers in a network that was made of a definition, by their names in the
    definition, in the order of its layers.
    """
    own: dict[str, list[str]] = {}
    modules = dict(zip(_module_names(definition), (layer.name for layer in definition.layers), strict=True))
    for key in network.state_dict():
        parts = key.split(".")
        name = next((modules[part] for part in reversed(parts) if part in modules), None)
        if name is not None and parts[-1] != "num_batches_tracked":
            own.setdefault(name, []).append(key)
    return {
        f"{layer.name}.{key.rpartition('.')[2]}": key for layer in definition.layers for key in own.get(layer.name, [])
    }


def name_after_layers(definition: NetworkDefinition, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a network that was made of a definition, under the names of its layers. Raises `NetworkError`."""
    variant = variant_of(definition.title, definition)
    with torch.device("meta"):
        network = variant.build(variant.card, variant.card.classes, definition.input[0], definition.input[1:])
    return {name: state[key] for name, key in tensor_names(definition, network).items() if key in state}


def is_sigmoid(layer: LayerDefinition) -> bool:
    """Whether a layer is this activation."""
    return layer.kind == "activation" and layer.text("function") == "sigmoid"


def _needed(definition: NetworkDefinition) -> NetworkDefinition:
    """Without layers on which no output depends."""
    needed = set(definition.outputs)
    for layer in reversed(definition.layers):
        if layer.name in needed:
            needed.update(layer.inputs)
    return replace(definition, layers=tuple(layer for layer in definition.layers if layer.name in needed))


def _build(definition: NetworkDefinition, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    with torch.device("meta"):  # where to cut does not depend on the image's size
        published = _make_layers(card.name, definition, definition.input)
    scores = read_scores(card.name, definition, published.shapes)
    changed = None if classes == card.classes else _last_weighted(card, definition, scores, classes)
    layers = _make_layers(card.name, definition, (channels, *size), {changed: classes} if changed else {})
    given = layers.shapes[scores.layer]
    if given[0] != classes or (scores.output == "image" and given[1:] not in ((), (1, 1))):
        raise NetworkError(
            f"{card.name} gives values of the shape {'x'.join(map(str, given))} for {classes} classes and images of "
            f"{size[1]}x{size[0]}; choose the {card.classes} classes and the size of the file."
        )
    network = _assemble(card, published.graph, layers, scores)
    return network.apply(glorot_uniform) if definition.initializer == "glorot_uniform" else network


def _last_weighted(card: Card, definition: NetworkDefinition, scores: Scores, classes: int) -> str:
    """The name of the layer that gives the scores. Raises `NetworkError` where there is none for them alone."""
    layer = definition.layers[scores.layer]
    while layer.kind not in WEIGHTED:
        if (len(layer.inputs) > 1 and layer.kind != "crop") or layer.inputs[0] == IMAGE:
            raise NetworkError(
                f"{card.name} cannot give {classes} classes, since no layer alone gives its scores; use the "
                f"{card.classes} of the file."
            )
        layer = definition.layer(layer.inputs[0])
    return layer.name


def _make_layers(
    name: str, definition: NetworkDefinition, image: Shape, outputs: Mapping[str, int] | None = None
) -> Layers:
    """The layers, of which some have other numbers of ``outputs``, for an image of a shape."""
    index = {layer.name: number for number, layer in enumerate(definition.layers)}
    layers, weights, meta = Layers([], []), 0, torch.empty(0).is_meta
    for module_name, layer in zip(_module_names(definition), definition.layers, strict=True):
        sources = tuple(index.get(source, -1) for source in layer.inputs)
        given = [layers.shapes[source] if source >= 0 else image for source in sources]
        try:
            with torch.device("meta"):
                built = make_layer(layer, given[0], (outputs or {}).get(layer.name))
                shape = _output_shape(built.module, given)
            weights += sum(value.numel() for value in built.module.parameters())
            if weights > _MOST_WEIGHTS:
                raise ValueError(f"it would be the one with which the network has {weights:,} weights")
            if not meta:
                built = make_layer(layer, given[0], (outputs or {}).get(layer.name))
        except _TORCH_SAYS as error:
            shapes = " and ".join("x".join(map(str, each)) for each in given)
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise NetworkError(
                f"{name}: the layer {shorten(layer.name)!r} ({layer.kind}) cannot take {shorten(shapes)} ({reason}); "
                "change the file, or the size of the input."
            ) from error
        weighted = layer.kind in WEIGHTED
        layers.graph.append(GraphLayer(module_name, built.module, sources, shape[0], built.stride, weighted))
        layers.shapes.append(shape)
    return layers


def _output_shape(module: nn.Module, given: Sequence[Shape]) -> Shape:
    """The shape of what a layer gives for one image. Raises what torch raises, and `ValueError`."""
    with torch.no_grad():
        shape = tuple(module.eval()(*(torch.empty(1, *each) for each in given)).shape)
    if len(shape) < 2 or not 1 <= math.prod(shape) <= _MOST_VALUES:
        raise ValueError(f"it would give {'x'.join(map(str, shape[1:]))}")
    module.train()
    return shape[1:]


def _assemble(card: Card, published: Sequence[GraphLayer], built: Layers, scores: Scores) -> Network:
    pixels, layers = scores.output == "pixels", built.graph
    chain = [
        # That a map is cut to the image's size needs no values of the image.
        layer._replace(sources=layer.sources[:1])
        if isinstance(layer.module, Crop) and IMAGE_INDEX in layer.sources[1:]
        else layer
        for layer in published[: scores.layer + 1]
    ]
    cut = find_cut(chain, scores.layer + 1, several=pixels)
    if cut is None:  # no layer with a map is before those that give the scores
        cut, stages, names = Cut(0, ()), {"stage1": Stage(nn.Identity(), card.input[0], 1)}, {IMAGE_INDEX: "stage1"}
    else:
        stages, names = make_stages(layers, cut)
    rest = {index: layers[index] for index in range(cut.first, scores.layer + 1)}
    if not pixels:
        head: dict[str, nn.Module] = {"layers": join(rest, layers)}
        head |= {"flatten": nn.Flatten()} if len(built.shapes[scores.layer]) > 1 else {}
        return Network(card, stages, nn.Sequential(OrderedDict(head)))
    inputs = sorted({source for layer in rest.values() for source in layer.sources if source < cut.first})
    outputs = GraphOutputs(
        *by_name(rest, layers), [name_of(layers, index) for index in inputs], [layers[scores.layer].name]
    )
    head_inputs = tuple(names[index] for index in inputs if index != IMAGE_INDEX)
    if any(chain[index] is not published[index] for index in range(cut.first)) or not head_inputs:
        raise NetworkError(f"{card.name} cannot be cut into stages; choose another network.")
    return Network(card, stages, PixelHead(outputs), head_inputs=head_inputs)


def _module_names(definition: NetworkDefinition) -> list[str]:
    """A name for each layer's module: the layer's own, unless a module cannot have it."""
    names: dict[str, None] = {}
    for layer in definition.layers:
        name = layer.name.replace(".", "_")
        while name in names or name in _RESERVED or hasattr(nn.Sequential, name):
            name += "_"
        names[name] = None
    return list(names)


_RESERVED = {
    *("stages", "head", "auxiliary", "layers", "flatten", "pad", "conv", "cut", "dense", "start", "last", "nodes"),
    *("inputs", "outputs", "flat", "training", "weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
}
"""Names of modules and values beside those of the layers."""
