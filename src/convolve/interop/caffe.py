"""Networks of Caffe: `.prototxt`, which describes a network, and `.caffemodel`, which has its numbers.

A `.caffemodel` has its layers too, as they were for training; where a `.prototxt` is given, that one says what the
network computes. Caffe's networks take images as OpenCV reads them, blue first, from 0 to 255, less a mean: the first
layer is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from convolve.choices import Fit
from convolve.errors import ConvolveError, NetworkError, WeightsError
from convolve.interop.caffe_graph import Graph, Map
from convolve.interop.caffe_layers import read_layer
from convolve.interop.caffe_weights import read_stored_tensors, read_tensors
from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.definition import IMAGE, NetworkDefinition
from convolve.untrusted.caffe import OF_TRAINING, CaffeLayer, CaffeNetwork, read_caffemodel, read_prototxt
from convolve.values import Preprocessing

_DATA: Final[Mapping[str, str]] = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "MemoryData": "memory_data_param",
    "DummyData": "dummy_data_param",
    "WindowData": "window_data_param",
    "AnnotatedData": "data_param",
    "Input": "input_param",
}
"""Kinds of layers that give images, and where their options are."""
_HIGHEST: Final = 255.0
_Shape = tuple[int, int, int]


def read_caffe(definition: Path | None, weights: Path | None, image: _Shape | None = None) -> ForeignNetwork:
    """The network of a `.prototxt`, a `.caffemodel`, or both, for an ``image`` of (channels, height, width) where the
    file leaves that open. A `.prototxt` alone gives no tensors.

    A `.caffemodel` alone that does not say how its layers are connected, or for which images, gives tensors without a
    definition: they are named as Caffe names the layers, in the file's order.

    Raises `NetworkError` for what is wrong with the network, and `WeightsError` for what is wrong with its numbers.
    """
    stored = _read(read_caffemodel, weights, WeightsError, "weights of Caffe") if weights else None
    described = _read(read_prototxt, definition, NetworkError, "a network of Caffe") if definition else None
    network, path = described or stored, definition or weights
    if network is None or path is None:
        raise NetworkError("There is no file of Caffe; give a .prototxt, a .caffemodel, or both.")
    try:
        if network is stored and not _describes_network(stored, image):
            return ForeignNetwork(None, read_stored_tensors(stored))
    except ValueError as error:
        raise _error(WeightsError, path, "weights of Caffe", error) from error
    try:
        if network is stored:
            _check_fields(stored)
        found, graph = _read_definition(path, (network, stored), image)
    except ValueError as error:
        raise _error(NetworkError, path, "a network of Caffe", error) from error
    if weights is None or stored is None:
        return ForeignNetwork(found, {}, _preprocessing([network], found.input))
    try:
        tensors = read_tensors(found.layers, graph.weighted, stored)
    except ValueError as error:
        raise _error(WeightsError, weights, "weights of this network", error) from error
    return ForeignNetwork(found, tensors, _preprocessing([network, stored], found.input))


def read_caffe_tensors(weights: Path) -> dict[str, Tensor]:
    """The tensors of a `.caffemodel`, named as Caffe names the layers, in the file's order, whatever these compute.

    Raises `WeightsError`.
    """
    stored = _read(read_caffemodel, weights, WeightsError, "weights of Caffe")
    try:
        return read_stored_tensors(stored)
    except ValueError as error:
        raise _error(WeightsError, weights, "weights of Caffe", error) from error


def _read(read: Callable[[Path], CaffeNetwork], path: Path, kind: type[ConvolveError], what: str) -> CaffeNetwork:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise _error(kind, path, what, error) from error
    except ImportError as error:
        raise kind("protobuf is not installed; run `pip install 'convolve[convert]'`.") from error


def _error(kind: type[ConvolveError], path: Path, what: str, error: Exception) -> ConvolveError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return kind(f"{path} cannot be read as {what} ({reason}); choose another file.")


def _describes_network(stored: CaffeNetwork, image: _Shape | None) -> bool:
    """Whether a file of numbers says how its layers are connected, and for which images."""
    connected = any(layer.bottoms for layer in stored.layers)
    return connected and (image is not None or any(shape for _, shape in _inputs(stored, stored.layers, stored)))


def _check_fields(stored: CaffeNetwork) -> None:
    """Raise `ValueError` where a layer may compute something else than Caffe's."""
    for layer in stored.layers:
        unknown = [name for name in layer.unknown if name not in OF_TRAINING]
        if unknown:
            raise ValueError(
                f"its layer {layer.name!r} has fields in {unknown[0]} that are not Caffe's; give its .prototxt too"
            )


def _read_definition(
    path: Path, networks: tuple[CaffeNetwork, CaffeNetwork | None], image: _Shape | None
) -> tuple[NetworkDefinition, Graph]:
    """The definition of the first of the ``networks``; the second one has its numbers."""
    network, stored = networks
    layers = [layer for layer in network.layers if network is stored or _is_tested(layer, network.fields)]
    inputs = list(_inputs(network, layers, stored))
    found = next(((name, shape) for name, shape in inputs if shape is not None), None)
    if found is None and image is not None and inputs:
        found = _first_taken([name for name, _ in inputs], layers), image
    if found is None:
        raise ValueError("it does not say the size of its images; write input_shape { dim: 1 dim: 3 … } in it")
    name, shape = found
    graph = Graph({other: None for other, _ in inputs})
    graph.maps[name] = Map(IMAGE, 4, shape[0])
    for layer in layers:
        if not (layer.kind in _DATA and not layer.bottoms):
            read_layer(graph, layer)
    outputs = graph.outputs()
    title = network.name or path.stem
    return NetworkDefinition("Caffe", title, shape, graph.needed(outputs), tuple(outputs)), graph


def _is_tested(layer: CaffeLayer, fields: Mapping[str, Any]) -> bool:
    """Whether a layer is in the network that is used for testing."""
    state = fields.get("state", {})
    if "include" in layer.fields:
        return any(_applies(rule, state) for rule in layer.fields["include"])
    return not any(_applies(rule, state) for rule in layer.fields.get("exclude", ()))


def _applies(rule: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    level, stages = state.get("level", 0), state.get("stage", ())
    return (
        rule.get("phase", "TEST") == "TEST"
        and rule.get("min_level", level) <= level <= rule.get("max_level", level)
        and set(rule.get("stage", ())) <= set(stages)
        and not set(rule.get("not_stage", ())) & set(stages)
    )


def _inputs(
    network: CaffeNetwork, layers: Sequence[CaffeLayer], stored: CaffeNetwork | None
) -> Iterator[tuple[str, _Shape | None]]:
    """What the network takes, by name: the (channels, height, width) of images, and None for all else."""
    fields = network.fields
    names, sizes = fields.get("input", ()), fields.get("input_dim", ())
    shapes = [shape.get("dim", ()) for shape in fields.get("input_shape", ())]
    shapes = shapes or [sizes[start : start + 4] for start in range(0, len(sizes), 4)]
    for number, name in enumerate(names):
        yield name, _image_shape(shapes[number] if number < len(shapes) else ())
    for layer in layers:
        if layer.kind not in _DATA or layer.bottoms:
            continue
        options = layer.parameters(_DATA[layer.kind])
        shapes = [shape.get("dim", ()) for shape in options.get("shape", ())]
        if not shapes and layer.tops:
            shapes = [_announced(options) or _size_of_data(layer, options, layers, stored)]
        elif layer.kind == "Input" and len(shapes) == 1:
            shapes *= len(layer.tops)
        for number, name in enumerate(layer.tops):
            yield name, _image_shape(shapes[number] if number < len(shapes) else ())


def _image_shape(shape: Sequence[int]) -> _Shape | None:
    return (shape[1], shape[2], shape[3]) if len(shape) == 4 else None


def _announced(options: Mapping[str, Any]) -> tuple[int, ...]:
    """The sizes that are written one by one, as for data in the memory; those of the first map where there are more."""
    sizes = [options.get(name, ()) for name in ("channels", "height", "width")]
    first = [(size or (0,))[0] if isinstance(size, tuple) else size for size in sizes]
    return (1, *first) if all(first) else ()


def _size_of_data(
    layer: CaffeLayer, options: Mapping[str, Any], layers: Sequence[CaffeLayer], stored: CaffeNetwork | None
) -> tuple[int, ...]:
    """The sizes of images of a database or a list, as far as the layer says what it cuts out of them."""
    transform = {**options, **layer.parameters("transform_param")}
    side = transform.get("crop_size", 0)
    height, width = (side, side) if side else (options.get("new_height", 0), options.get("new_width", 0))
    if not (height and width):
        return ()
    means = len(transform.get("mean_value", ()))
    gray = transform.get("force_gray", False) or not transform.get("is_color", True)
    channels = 1 if gray else means if means > 1 else _first_channels(layer.tops[0], layers, stored) or 3
    return (1, channels, height, width)


def _first_channels(name: str, layers: Sequence[CaffeLayer], stored: CaffeNetwork | None) -> int | None:
    """The channels that the first convolution takes by its numbers."""
    blobs = {layer.name: layer.blobs for layer in stored.layers if layer.blobs} if stored else {}
    names = {name}
    for layer in layers:
        if layer.kind == "Split" and names & {*layer.bottoms}:
            names |= {*layer.tops}
        if layer.kind == "Convolution" and names & {*layer.bottoms} and layer.name in blobs:
            weight = blobs[layer.name][0]
            groups: int = layer.parameters("convolution_param").get("group", 1)
            return weight.shape[1] * groups if weight.ndim == 4 else None
    return None


def _first_taken(names: Sequence[str], layers: Sequence[CaffeLayer]) -> str:
    """The input that a convolution takes, or else the first one."""
    taken = {name for layer in layers if layer.kind == "Convolution" for name in layer.bottoms}
    for layer in reversed(layers):
        if layer.kind == "Split" and taken & {*layer.tops}:
            taken |= {*layer.bottoms}
    return next((name for name in names if name in taken), names[0])


def _preprocessing(networks: Sequence[CaffeNetwork], shape: _Shape) -> Preprocessing | None:
    """What the first layer of images that says it does with them; None where none does, a mean is in a file, or there
    is more than Caffe does.
    """
    for network in networks:
        for layer in network.layers:
            if layer.kind not in _DATA:
                continue
            transform = {**layer.parameters(_DATA[layer.kind]), **layer.parameters("transform_param")}
            if "mean_file" in transform or "TransformationParameter" in layer.unknown:
                return None
            if transform.keys() & {"mean_value", "scale", "crop_size"}:
                return _preprocessing_of(transform, shape)
    return None


def _preprocessing_of(transform: Mapping[str, Any], shape: _Shape) -> Preprocessing | None:
    """Means are those of OpenCV's order, blue first."""
    channels, height, width = shape
    means, scale = transform.get("mean_value", ()) or (0.0,), transform.get("scale", 1.0)
    if len(means) == 1:
        means = means * channels
    if len(means) != channels or not all(map(math.isfinite, (*means, scale))) or scale <= 0:
        return None
    fit: Fit = "crop" if transform.get("crop_size", 0) else "stretch"
    return Preprocessing(
        height,
        width,
        channels,
        fit,
        tuple(mean / _HIGHEST for mean in means[::-1]),
        (1 / (_HIGHEST * scale),) * channels,
    )
