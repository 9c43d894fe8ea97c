"""Networks of Keras 1, 2 and 3: `.keras` archives and HDF5 files, as networks in words.

Layers that are code, such as `Lambda`, and classes that a file's author has made are refused: nothing of a file is run.
A file of weights alone gives the tensors of its layers, without a network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from convolve.errors import WeightsError, shorten
from convolve.interop.foreign_network import ForeignNetwork
from convolve.interop.keras_layer import CHANNELS_FIRST, Context, Layer, is_number
from convolve.interop.keras_layers import LAYERS, combine_with_number
from convolve.interop.keras_weights import MODELS, CountedWeights, NamedModel, Stored, by_layer
from convolve.interop.network_builder import NetworkBuilder, to_tensors
from convolve.models.definition import IMAGE
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import read_start
from convolve.untrusted.hdf5 import SIGNATURE, parse_hdf5, read_hdf5
from convolve.untrusted.keras_archive import read_keras_archive
from convolve.values import Preprocessing

_ZIP: Final = b"PK\x03\x04"
_INSIDE: Final = 20
_MOST_LAYERS: Final = 10_000
_MOST_ROUNDS: Final = 100
_SIDE: Final = 224
"""Height and width of images where the file leaves them open."""
_HIGHEST: Final = 1.5
"""The largest mean of an image's channel with values from 0 to 1."""
_Reference = tuple[str, int]
"""A layer's name, and which of its calls."""


def read_keras(path: str | os.PathLike[str], image: tuple[int, int, int] | None = None) -> ForeignNetwork:
    """The network in a file of Keras, for images of (channels, height, width) if these are others than the file's.

    Raises `WeightsError`.
    """
    try:
        return _read(Path(path), image)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(f"{path} cannot be read as a network of Keras ({reason}); choose another file.") from error


def _read(path: Path, image: tuple[int, int, int] | None) -> ForeignNetwork:
    start, held = read_start(path, len(SIGNATURE)), path.stat().st_size
    if start.startswith(_ZIP):
        description, content = read_keras_archive(path)
        held += len(content)
        model = _Model(parse_json(description), CountedWeights(parse_hdf5(content)), "3", theano=False)
    elif start == SIGNATURE:
        root = read_hdf5(path)
        text, version = root.attributes.get("model_config"), root.attributes.get("keras_version")
        group = root.child("model_weights") if "model_weights" in root.links else root
        says = [each.attributes.get("backend") for each in (root, group) if each]
        theano = any(isinstance(backend, str) and backend == "theano" for backend in says)
        if not isinstance(text, str):
            return ForeignNetwork(None, to_tensors(by_layer(group or root, theano=theano), held))
        version = version if isinstance(version, str) and version[:1].isdigit() else "1"
        model = _Model(parse_json(text), NamedModel(group or root), version, theano=theano)
    else:
        raise ValueError("it is neither HDF5 nor an archive")
    return model.read(path.stem, image, held)


@final
class _Model:
    """A description and its weights."""

    def __init__(self, document: Any, weights: Stored, version: str, *, theano: bool) -> None:
        self._document, self._weights = _table(document), weights
        self._version, self._theano = version, theano
        self._count = 0
        self._preprocessing: Preprocessing | None = None

    def read(self, title: str, image: tuple[int, int, int] | None, held: int) -> ForeignNetwork:
        """The network."""
        first = _is_channels_first(self._document)
        channels = _shape_of_image(self._document, image, first=first)
        builder = NetworkBuilder(channels)
        context = Context(builder, int(self._version.partition(".")[0][:4]), first, self._theano)
        outputs = [context.natural(flow) for flow in self._follow(self._document, IMAGE, "", self._weights, context)]
        source = f"Keras {shorten(self._version, 20)}"
        return ForeignNetwork(builder.definition(source, title, outputs), builder.tensors(held), self._preprocessing)

    def _follow(
        self, model: Mapping[str, Any], flow: str, prefix: str, weights: Stored, context: Context
    ) -> Sequence[str]:
        """The outputs of a model, or of a model in one, that is given ``flow``."""
        if prefix.count("/") > _INSIDE:
            raise ValueError("its models are nested too deeply")
        config = model.get("config")
        entries = config if isinstance(config, list) else _table(config).get("layers")
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise ValueError("it has no list of layers")
        if model.get("class_name") == "Sequential":
            for entry in entries:
                (flow,) = self._call(entry, [flow], prefix, weights.child(_name(entry), _kind(entry)), context)
            return [flow]
        return self._follow_graph(_table(config), entries, flow, prefix, weights, context)

    def _follow_graph(
        self,
        config: Mapping[str, Any],
        entries: Sequence[Mapping[str, Any]],
        flow: str,
        prefix: str,
        weights: Stored,
        context: Context,
    ) -> Sequence[str]:
        inputs = [*_references(config.get("input_layers"), 0)]
        if len(inputs) != 1:
            raise ValueError(f"it takes {len(inputs)} inputs, and a network here takes one image")
        flows: dict[_Reference, str] = {inputs[0]: flow}
        stored_weights = [weights.child(_name(entry), _kind(entry)) for entry in entries]
        waiting = [
            (entry, stored, number, node, [*_references(node, 0)])
            for entry, stored in zip(entries, stored_weights, strict=True)
            for number, node in enumerate(_nodes(entry))
        ]
        for _ in range(_MOST_ROUNDS):
            later = []
            for each in waiting:
                entry, stored, number, node, sources = each
                if all(source in flows for source in sources):
                    name = f"{prefix}call{number + 1}/" if number else prefix
                    taken = [flows[source] for source in sources]
                    if _numbers(node):
                        flows[_name(entry), number] = _operate(entry, node, taken, name, context)
                    else:
                        flows[_name(entry), number] = self._call(entry, taken, name, stored, context)[0]
                else:
                    later.append(each)
            if len(later) == len(waiting):
                break
            waiting = later
        outputs = [*_references(config.get("output_layers"), 0)]
        if waiting or not outputs or not all(output in flows for output in outputs):
            raise ValueError("its layers take what no layer gives")
        return [flows[output] for output in outputs]

    def _call(
        self, entry: Mapping[str, Any], inputs: Sequence[str], prefix: str, stored: Stored, context: Context
    ) -> Sequence[str]:
        """The outputs of a layer, or of a model inside."""
        kind, name, config = _kind(entry), f"{prefix}{_name(entry)}", entry.get("config")
        self._count += 1
        if self._count > _MOST_LAYERS:
            raise ValueError(f"it has more than {_MOST_LAYERS:,} layers")
        if kind in MODELS and len(inputs) == 1:
            found = self._follow(entry, inputs[0], f"{name}/", stored, context)
            if len(found) == 1:
                return found
            raise ValueError(f"the model {name!r} inside has {len(found)} outputs, which is not read here")
        if kind not in LAYERS or not _is_of_keras(entry):
            what = "code, which is never run" if "Lambda" in kind else "not read here"
            raise ValueError(f"the layer {name!r} is of the class {shorten(kind, 60)}, which is {what}")
        layer = Layer(kind, name, _table(config), stored.arrays())
        if not inputs or (len(inputs) > 1) is not (kind in _SEVERAL):
            raise layer.error(f"takes {len(inputs)} inputs")
        self._note_preprocessing(layer, inputs[0], context)
        return [LAYERS[kind](layer, inputs, context)]

    def _note_preprocessing(self, layer: Layer, flow: str, context: Context) -> None:
        """A network that begins with `Rescaling` or `Normalization` takes values from 0 to 255."""
        if flow == IMAGE and layer.kind in ("Rescaling", "Normalization"):
            means = layer.arrays[0] if layer.arrays else None
            if layer.kind == "Rescaling" or (means is not None and means.size and means.max() > _HIGHEST):
                channels, height, width = context.shape(IMAGE)
                self._preprocessing = Preprocessing(
                    height, width, channels, "stretch", (0.0,) * channels, (1 / 255,) * channels
                )


_OPERATIONS: Final = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
"""Layers that compute the same as operations of this name."""
_SEVERAL: Final = (*_OPERATIONS, "Average", "Concatenate", "Merge")


def _operate(entry: Mapping[str, Any], node: Any, inputs: Sequence[str], prefix: str, context: Context) -> str:
    """An operation of one output and one number."""
    layer = Layer(_kind(entry), f"{prefix}{_name(entry)}", _table(entry.get("config")), ())
    numbers = _numbers(node)
    if len(inputs) != 1 or len(numbers) != 1:
        raise layer.error("is given numbers, which is not read here")
    ((index, number),) = numbers.items()
    return combine_with_number(layer, inputs[0], number, context, number_first=index == 0)


def _numbers(node: Any) -> Mapping[int, float]:
    """The numbers among the arguments of a call, by their positions. Raises `ValueError` for a call in training."""
    calls = [each[3] for each in node if isinstance(each, list) and len(each) > 3] if isinstance(node, list) else []
    calls += [node.get("kwargs")] if isinstance(node, dict) else []
    if any(isinstance(call, dict) and call.get("training") is True for call in calls):
        raise ValueError("one of its layers is called as in training, which is not read here")
    values = node.get("args") if isinstance(node, dict) else None
    return {
        index: float(value)
        for index, value in enumerate(values if isinstance(values, list) else [])
        if is_number(value)
    }


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("its description is no network")
    return value


def _kind(entry: Mapping[str, Any]) -> str:
    return str(entry.get("class_name"))


def _name(entry: Mapping[str, Any]) -> str:
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else None)
    if not isinstance(name, str) or not name:
        raise ValueError("one of its layers has no name")
    return name


def _is_of_keras(entry: Mapping[str, Any]) -> bool:
    """Whether a layer's class is Keras' own, so far as the description says."""
    module, registered = entry.get("module"), entry.get("registered_name")
    known = module is None or str(module).startswith(("keras.layers", "keras.src.layers", "keras.engine", "tf_keras"))
    known |= module == "keras.src.ops.numpy" and entry.get("class_name") in _OPERATIONS
    return known and (registered is None or registered == entry.get("class_name"))


def _nodes(entry: Mapping[str, Any]) -> Sequence[Any]:
    """The calls of a layer, each with what it takes; an input has none."""
    nodes = entry.get("inbound_nodes")
    return nodes if isinstance(nodes, list) else []


def _references(value: Any, depth: int) -> Iterator[_Reference]:
    """Layers' outputs that are named somewhere inside of a value."""
    if depth > _INSIDE:
        raise ValueError("its layers are nested too deeply")
    if isinstance(value, dict):
        history = value["config"].get("keras_history") if isinstance(value.get("config"), dict) else None
        inside = [history] if history is not None else [value.get("args"), value.get("kwargs"), *_tables_in(value)]
    elif isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str):
        if type(value[1]) is not int or value[2] != 0:
            raise ValueError(f"the layer {shorten(value[0])!r} has several outputs, which is not read here")
        yield value[0], value[1]
        return
    else:
        inside = value if isinstance(value, list) else []
    for each in inside:
        yield from _references(each, depth + 1)


def _tables_in(value: Mapping[str, Any]) -> Iterator[Any]:
    """Values among named arguments that may be outputs of layers."""
    if "class_name" not in value and "args" not in value:
        yield from (each for each in value.values() if isinstance(each, dict | list))


def _configs(model: Any, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The classes and options of all layers, those of a model before those of its layers."""
    config = model.get("config") if isinstance(model, dict) else None
    if isinstance(config, dict):
        yield _kind(model), config
    entries = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    for entry in entries if isinstance(entries, list) and depth < _INSIDE else ():
        yield from _configs(entry, depth + 1)


def _is_channels_first(document: Mapping[str, Any]) -> bool:
    """Whether maps have their channels first in a model: in all layers that say it of their input, as `Flatten` may
    not where it is not told.
    """
    layers = [config for kind, config in _configs(document) if kind != "Flatten"]
    found = [config.get("data_format", config.get("dim_ordering")) for config in layers]
    orders = {order in CHANNELS_FIRST for order in found if isinstance(order, str) and order != "default"}
    if len(orders) > 1:
        raise ValueError("some of its layers have the channels of maps first and others last")
    return True in orders


def _shape_of_image(
    document: Mapping[str, Any], image: tuple[int, int, int] | None, *, first: bool
) -> tuple[int, int, int]:
    """The shape (channels, height, width) of the images: ``image``'s, or else the file's."""
    shapes = (
        config.get("batch_shape") or config.get("batch_input_shape") or config.get("build_input_shape")
        for _, config in _configs(document)
    )
    shape = next((each for each in shapes if isinstance(each, list) and len(each) in (2, 4)), None)
    if shape is None:
        raise ValueError("it does not say what its input is")
    sizes = shape[1:] if len(shape) == 4 else [1, 1, shape[1]]
    if not first or len(shape) == 2:
        sizes = [sizes[2], *sizes[:2]]
    default = (3, _SIDE, _SIDE)
    found = [*image] if image else [size or given for size, given in zip(sizes, default, strict=True)]
    if not all(type(size) is int and size > 0 for size in found):
        raise ValueError("its input is no image")
    return found[0], found[1], found[2]
