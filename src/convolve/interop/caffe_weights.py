"""The numbers of Caffe's layers as tensors of a definition's layers.

Arrays of before 2014 have four sizes whatever they hold; a linear layer's weights are 1 x 1 x out x in there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from convolve.interop.caffe_graph import Weighted
from convolve.models.definition import IMAGE, LayerDefinition, Value
from convolve.untrusted.caffe import Array, CaffeLayer, CaffeNetwork


def read_tensors(
    layers: Sequence[LayerDefinition], weighted: Mapping[str, Weighted], stored: CaffeNetwork
) -> dict[str, Tensor]:
    """The tensors of the layers, with the numbers that ``stored`` has for layers of the same names in Caffe.

    ``weighted`` are Caffe's layers by the names that they have here. Raises `ValueError` where numbers are lacking, or
    have other sizes than the layer.
    """
    blobs: dict[str, tuple[Array, ...]] = {}
    for source in stored.layers:
        if source.blobs and source.name in blobs:
            raise ValueError(f"it has two layers with numbers that are called {source.name!r}")
        if source.blobs:
            blobs[source.name] = source.blobs
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        if layer.name not in weighted:
            continue
        name = weighted[layer.name].layer.name
        if name not in blobs:  # those of another layer of this name are not its own
            raise ValueError(f"it has no numbers for the layer {name!r}; it is of another network")
        arrays = _arrays(layer, weighted[layer.name], blobs.pop(name))
        tensors |= {
            f"{layer.name}.{kind}": torch.from_numpy(np.ascontiguousarray(array)) for kind, array in arrays.items()
        }
    return tensors


def read_stored_tensors(stored: CaffeNetwork) -> dict[str, Tensor]:
    """The tensors of a file's layers by the names that these have in Caffe, whatever the layers are connected to.

    Raises `ValueError` where their arrays are not those of their kind.
    """
    layers = [layer for layer in stored.layers if layer.blobs]
    definitions = [_definition_of(layer) for layer in layers]
    return read_tensors(definitions, {layer.name: Weighted(layer, None) for layer in layers}, stored)


def _definition_of(layer: CaffeLayer) -> LayerDefinition:
    """As much of a layer as its arrays say."""
    shape, bias = layer.blobs[0].shape, len(layer.blobs) > 1
    options: dict[str, Value] = {}
    kind = _STORED.get(layer.kind)
    if kind is None:
        raise ValueError(f"its layer {layer.name!r} is of the kind {layer.kind!r}, whose numbers are not read here")
    if kind in ("convolution", "deconvolution", "linear") and (len(shape) not in _AXES[kind] or not all(shape)):
        sizes = "x".join(map(str, shape)) or "1"
        raise ValueError(f"its layer {layer.name!r} has an array of {sizes} numbers, and no {kind} has")
    if kind in ("convolution", "deconvolution"):
        out, window = shape[kind == "deconvolution"], {"stride": (1, 1), "padding": (0, 0, 0, 0)}
        options = {"out": out, "kernel": shape[2:], **window, "bias": bias}
    elif kind == "linear":
        transposed = layer.parameters("inner_product_param").get("transpose", False)
        options = {"out": shape[-1 if transposed else -2], "bias": bias}
    elif kind == "batch_norm":
        options = {"eps": layer.parameters("batch_norm_param").get("eps", 1e-5), "affine": False}
    elif kind == "activation":
        options = {"function": "prelu"}
    else:
        options = {"bias": bias or layer.kind == "Bias"}
    return LayerDefinition(layer.name, kind, (IMAGE,), options)


def _arrays(layer: LayerDefinition, source: Weighted, blobs: Sequence[Array]) -> dict[str, Array]:
    count, read = _READERS.get(source.layer.kind, (1, _weight_and_bias))
    expected = count + (read is _weight_and_bias and layer.flag("bias"))
    if len(blobs) != expected:
        raise ValueError(f"its layer {source.layer.name!r} has {len(blobs)} arrays, and such a layer has {expected}")
    return read(layer, source, blobs)


def _weight_and_bias(layer: LayerDefinition, source: Weighted, blobs: Sequence[Array]) -> dict[str, Array]:
    scale = layer.kind == "scale"
    weight = _by_channel(source, blobs[0]) if scale else _weight(layer, source, blobs[0])
    count = len(weight) if scale else layer.whole("out")
    return {"weight": weight, **({"bias": _vector(source, blobs[1], count)} if len(blobs) > 1 else {})}


def _weight(layer: LayerDefinition, source: Weighted, blob: Array) -> Array:
    """(out, in / groups, height, width) of a convolution, (in, out / groups, height, width) of a deconvolution, (out,
    in) of a linear layer.
    """
    out = layer.whole("out")
    if layer.kind == "linear":
        matrix = blob.reshape(blob.shape[2:]) if blob.shape[:2] == (1, 1) and blob.ndim == 4 else blob
        transposed = source.layer.parameters("inner_product_param").get("transpose", False)
        if matrix.ndim != 2 or matrix.shape[1 if transposed else 0] != out:
            raise _wrong_shape(source, blob, f"{out} outputs")
        return matrix.T if transposed else matrix
    kernel, groups = layer.wholes("kernel"), layer.whole("groups")
    convolution = layer.kind == "convolution"
    axis, outputs = (0, out) if convolution else (1, out // groups)
    channels = source.channels if source.channels is None or not convolution else source.channels // groups
    if blob.ndim != 4 or blob.shape[axis] != outputs or blob.shape[2:] != kernel:
        raise _wrong_shape(source, blob, f"{out} outputs and kernels of {kernel[0]}x{kernel[1]}")
    if channels not in (None, blob.shape[1 - axis]):
        raise _wrong_shape(source, blob, f"{source.channels} channels in {groups} groups")
    return blob


def _batch_norm(layer: LayerDefinition, source: Weighted, blobs: Sequence[Array]) -> dict[str, Array]:
    """Means and variances are sums, and the third array says of how many."""
    mean, variance, factor = blobs
    count = _vector(source, factor, 1)[0]
    mean = _by_channel(source, mean)
    variance = _vector(source, variance, len(mean))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        mean, variance = (np.zeros_like(each) if count == 0 else each / count for each in (mean, variance))
    if not (np.isfinite(mean).all() and np.isfinite(variance).all() and (variance + layer.number("eps") > 0).all()):
        raise ValueError(f"its layer {source.layer.name!r} has means or variances that no map has")
    return {"running_mean": mean, "running_var": variance}


def _bias(layer: LayerDefinition, source: Weighted, blobs: Sequence[Array]) -> dict[str, Array]:
    del layer
    bias = _by_channel(source, blobs[0])
    return {"weight": np.ones_like(bias), "bias": bias}


def _prelu(layer: LayerDefinition, source: Weighted, blobs: Sequence[Array]) -> dict[str, Array]:
    """One weight that is for all channels becomes as many."""
    del layer
    if not source.layer.parameters("prelu_param").get("channel_shared", False):
        return {"weight": _by_channel(source, blobs[0])}
    return {"weight": np.repeat(_vector(source, blobs[0], 1), source.channels or 1)}


def _by_channel(source: Weighted, blob: Array) -> Array:
    return _vector(source, blob, blob.size if source.channels is None else source.channels)


def _vector(source: Weighted, blob: Array, count: int) -> Array:
    if blob.size != count or max(blob.shape, default=1) != count:
        raise _wrong_shape(source, blob, f"{count} channels")
    return blob.reshape(count)


def _wrong_shape(source: Weighted, blob: Array, expected: str) -> ValueError:
    sizes = "x".join(map(str, blob.shape)) or "1"
    return ValueError(
        f"its layer {source.layer.name!r} has an array of {sizes} numbers, and the network has {expected}"
    )


_Reader = Callable[[LayerDefinition, Weighted, Sequence[Array]], dict[str, Array]]
_READERS: Final[Mapping[str, tuple[int, _Reader]]] = {
    "BatchNorm": (3, _batch_norm),
    "Bias": (1, _bias),
    "PReLU": (1, _prelu),
}
"""Of how many arrays a layer consists, and what reads them; all others have weights, and biases where they say so."""
_STORED: Final[Mapping[str, str]] = {
    "BatchNorm": "batch_norm",
    "Bias": "scale",
    "Convolution": "convolution",
    "Deconvolution": "deconvolution",
    "DepthwiseConvolution": "convolution",
    "InnerProduct": "linear",
    "PReLU": "activation",
    "Scale": "scale",
}
"""The kinds of definitions' layers for the kinds of Caffe's layers that have numbers."""
_AXES: Final = {"convolution": (4,), "deconvolution": (4,), "linear": (2, 4)}
