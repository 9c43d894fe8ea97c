"""The numbers of Caffe's layers as tensors of a definition's layers.

Arrays of before 2014 have four sizes whatever they hold; a linear layer's weights are 1 x 1 x out x in there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from convolve.models.definition import LayerDefinition
from convolve.untrusted.caffe import Array, CaffeLayer, CaffeNetwork


def read_tensors(
    layers: Sequence[LayerDefinition], weighted: Mapping[str, CaffeLayer], stored: CaffeNetwork
) -> dict[str, Tensor]:
    """The tensors of the layers, with the numbers that ``stored`` has for layers of the same names in Caffe.

    ``weighted`` are Caffe's layers by the names that they have here. Raises `ValueError` where numbers are lacking, or
    have other sizes than the layer.
    """
    blobs: dict[str, tuple[Array, ...]] = {}
    for layer in stored.layers:
        if layer.blobs and layer.name in blobs:
            raise ValueError(f"it has two layers with numbers that are called {layer.name!r}")
        if layer.blobs:
            blobs[layer.name] = layer.blobs
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        if layer.name not in weighted:
            continue
        source = weighted[layer.name]
        if source.name not in blobs:
            raise ValueError(f"it has no numbers for the layer {source.name!r}; it is of another network")
        arrays = _arrays(layer, source, blobs[source.name])
        tensors |= {f"{layer.name}.{name}": torch.from_numpy(array.copy()) for name, array in arrays.items()}
    return tensors


def _arrays(layer: LayerDefinition, source: CaffeLayer, blobs: Sequence[Array]) -> dict[str, Array]:
    count, read = _READERS.get(source.kind, (1, _weight_and_bias))
    expected = count + (read is _weight_and_bias and layer.flag("bias"))
    if len(blobs) != expected:
        raise ValueError(f"its layer {source.name!r} has {len(blobs)} arrays, and such a layer has {expected}")
    return read(layer, source, blobs)


def _weight_and_bias(layer: LayerDefinition, source: CaffeLayer, blobs: Sequence[Array]) -> dict[str, Array]:
    weight = _scale_weight(source, blobs[0]) if layer.kind == "scale" else _weight(layer, source, blobs[0])
    count = len(weight) if layer.kind == "scale" else layer.whole("out")
    return {"weight": weight, **({"bias": _vector(source, blobs[1], count)} if len(blobs) > 1 else {})}


def _weight(layer: LayerDefinition, source: CaffeLayer, blob: Array) -> Array:
    """(out, in / groups, height, width) of a convolution, (in, out / groups, height, width) of a deconvolution, (out,
    in) of a linear layer.
    """
    out = layer.whole("out")
    if layer.kind == "linear":
        matrix = blob.reshape(blob.shape[2:]) if blob.shape[:2] == (1, 1) and blob.ndim == 4 else blob
        transposed = source.parameters("inner_product_param").get("transpose", False)
        if matrix.ndim != 2 or matrix.shape[1 if transposed else 0] != out:
            raise _wrong_shape(source, blob, f"{out} outputs")
        return matrix.T if transposed else matrix
    kernel, groups = layer.wholes("kernel"), layer.whole("groups")
    outputs, axis = (out, 0) if layer.kind == "convolution" else (out // groups, 1)
    if blob.ndim != 4 or blob.shape[axis] != outputs or blob.shape[2:] != kernel:
        raise _wrong_shape(source, blob, f"{out} outputs and kernels of {kernel[0]}x{kernel[1]}")
    return blob


def _scale_weight(source: CaffeLayer, blob: Array) -> Array:
    return _vector(source, blob, blob.size)


def _batch_norm(layer: LayerDefinition, source: CaffeLayer, blobs: Sequence[Array]) -> dict[str, Array]:
    """Means and variances are sums, and the third array says of how many."""
    mean, variance, factor = blobs
    count = float(_vector(source, factor, 1)[0])
    shrink = np.float32(0 if count == 0 else 1 / count)
    mean, variance = (_vector(source, each, mean.size) * shrink for each in (mean, variance))
    if not (np.isfinite(mean).all() and (variance + layer.number("eps") > 0).all()):
        raise ValueError(f"its layer {source.name!r} has means or variances that no map has")
    return {"running_mean": mean, "running_var": variance}


def _bias(layer: LayerDefinition, source: CaffeLayer, blobs: Sequence[Array]) -> dict[str, Array]:
    del layer
    bias = _vector(source, blobs[0], blobs[0].size)
    return {"weight": np.ones_like(bias), "bias": bias}


def _prelu(layer: LayerDefinition, source: CaffeLayer, blobs: Sequence[Array]) -> dict[str, Array]:
    del layer
    shared = source.parameters("prelu_param").get("channel_shared", False)
    return {"weight": _vector(source, blobs[0], 1 if shared else blobs[0].size)}


def _vector(source: CaffeLayer, blob: Array, count: int) -> Array:
    if blob.size != count or max(blob.shape, default=1) != count:
        raise _wrong_shape(source, blob, f"{count} channels")
    return blob.reshape(count)


def _wrong_shape(source: CaffeLayer, blob: Array, expected: str) -> ValueError:
    sizes = "x".join(map(str, blob.shape)) or "1"
    return ValueError(f"its layer {source.name!r} has an array of {sizes} numbers, and the definition {expected}")


_READERS: Final[
    Mapping[str, tuple[int, Callable[[LayerDefinition, CaffeLayer, Sequence[Array]], dict[str, Array]]]]
] = {
    "BatchNorm": (3, _batch_norm),
    "Bias": (1, _bias),
    "PReLU": (1, _prelu),
}
"""Of how many arrays a layer consists, besides a bias, and what reads them; others have weights and biases."""
