"""Where Keras' files have the weights of a layer: under its name since version 1, under its class and a count in those
of version 3 that end in `.keras` or `.weights.h5`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol, final

import numpy as np

from convolve.interop.keras_layer import Array
from convolve.interop.layer_shapes import Shape
from convolve.untrusted.hdf5 import Hdf5Node

MODELS: Final = ("Sequential", "Functional", "Model")
"""Classes of networks, which may be layers of others."""
_MOST: Final = 10_000
_DEEPEST: Final = 8


class Stored(Protocol):
    """The weights of a layer, or of a model with layers inside."""

    def arrays(self) -> list[Array]:
        """A layer's weights, in the file's order. Raises `ValueError`."""
        ...

    def child(self, name: str, kind: str) -> Stored:
        """The weights of a layer inside; to be called once for each layer, in their order."""
        ...


@final
class NamedWeights:
    """Weights with names such as `block1_conv1/kernel:0`, which are paths in the ``group`` of a layer or of a model."""

    def __init__(self, group: Hdf5Node | None, names: Sequence[str]) -> None:
        self.names = names
        self._group = group

    def arrays(self) -> list[Array]:
        """The arrays of these names."""
        found = []
        for name in self.names:
            node = self._group.child(name) if self._group else None
            array = node.array if node else None
            if array is None:
                raise ValueError(f"it has no numbers of {name!r}")
            found.append(array)
        return found

    def child(self, name: str, kind: str) -> NamedWeights:
        """Those of which the name ends in a layer's name and a word; a model's name may be in it or not."""
        if kind in MODELS:
            inside = [each for each in self.names if name in each.split("/")[:-2]]
            return NamedWeights(self._group, inside or self.names)
        return NamedWeights(self._group, [each for each in self.names if each.split("/")[-2:-1] == [name]])


@final
class NamedModel:
    """The weights of a model in a file of the older kind."""

    def __init__(self, root: Hdf5Node) -> None:
        self._root = root

    def arrays(self) -> list[Array]:
        """None: a model has them in its layers."""
        return []

    def child(self, name: str, kind: str) -> NamedWeights:
        """Those of a layer or of a model inside."""
        del kind
        group = self._root.child(name) if name in self._root.links else None
        return NamedWeights(group, _texts(group, "weight_names") if group else [])

    def layers(self) -> Iterator[tuple[str, NamedWeights]]:
        """The layers' names and weights, in their order."""
        for name in _texts(self._root, "layer_names"):
            yield name, self.child(name, "")


@final
class CountedWeights:
    """Weights without names: those of a layer in `vars`, those of the layers inside in `layers`."""

    def __init__(self, node: Hdf5Node | None) -> None:
        self.node = node
        self._counts: dict[str, int] = {}

    def arrays(self) -> list[Array]:
        """The arrays 0, 1, 2 and so on."""
        group = self.node.child("vars") if self.node else None
        found: list[Array] = []
        while group and str(len(found)) in group.links:
            node = group.child(str(len(found)))
            array = node.array if node else None
            if array is None:
                raise ValueError("it has weights that are no numbers")
            found.append(array)
        return found

    def child(self, name: str, kind: str) -> CountedWeights:
        """Those of the next layer of this class."""
        del name
        word = _snake_case(kind)
        count = self._counts[word] = self._counts.get(word, -1) + 1
        path = f"layers/{word}_{count}" if count else f"layers/{word}"
        return CountedWeights(self.node.child(path) if self.node else None)


def _texts(group: Hdf5Node, name: str) -> list[str]:
    """A list of texts among a group's attributes, which may be cut into several."""
    parts = [group.attributes[name]] if name in group.attributes else []
    while name not in group.attributes and f"{name}{len(parts)}" in group.attributes:
        parts.append(group.attributes[f"{name}{len(parts)}"])
    texts = [text for part in parts if isinstance(part, list) for text in part]
    if len(texts) > _MOST or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"its {name} are no texts")
    return texts


def _snake_case(kind: str) -> str:
    """A class's name as Keras writes it in paths."""
    kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()


def layers_by_name(root: Hdf5Node) -> Iterator[tuple[str, Sequence[str], list[Array]]]:
    """The layers of a file without a description: their names, what each of their weights is, and these. Those of
    older files are in the layers' order; those of `.weights.h5` by class and count, since the file does not say it.

    Raises `ValueError`, also where there are none.
    """
    if "layers" in root.links:
        found = [*islice(_counted_layers(root, "", 0), _MOST + 1)]
        if len(found) > _MOST:
            raise ValueError(f"it has more than {_MOST:,} layers")
        for name, node in sorted(found, key=lambda each: _order(each[0])):
            arrays = CountedWeights(node).arrays()
            if arrays:
                yield name, _words_of(name, arrays), arrays
        return
    if "layer_names" not in root.attributes and "layer_names0" not in root.attributes:
        raise ValueError("it holds neither a network nor weights of Keras")
    for name, weights in NamedModel(root).layers():
        words = [re.split("[/]", each)[-1].partition(":")[0] for each in weights.names]
        yield name, [word.removeprefix(f"{name}_") for word in words], weights.arrays()


def _counted_layers(node: Hdf5Node, prefix: str, depth: int) -> Iterator[tuple[str, Hdf5Node]]:
    group = node.child("layers")
    for name in group.links if group and depth < _DEEPEST else ():
        inner = group.child(name) if group else None
        if inner is not None:
            yield f"{prefix}{name}", inner
            yield from _counted_layers(inner, f"{prefix}{name}/", depth + 1)


def _order(name: str) -> tuple[bool, int, bool]:
    """By which layers are sorted: linear ones last; of the others by their count, normalizations after convolutions."""
    word, _, count = name.rpartition("_")
    number = int(count) if count.isdigit() and len(count) < 9 else 0
    kind = (word if count.isdigit() else name).rpartition("/")[2]
    return kind == "dense", number, "normalization" in kind


def _words_of(name: str, arrays: Sequence[Array]) -> Sequence[str]:
    kind = re.sub(r"_\d+$", "", name.rpartition("/")[2])
    if kind == "normalization" and len(arrays) == len(_NORMALIZATION):
        return _NORMALIZATION
    if kind == "batch_normalization" and len(arrays) in (2, 4):
        return ("gamma", "beta", "moving_mean", "moving_variance")[-len(arrays) :]
    words = {"depthwise_conv2d": ("depthwise_kernel",), "separable_conv2d": ("depthwise_kernel", "pointwise_kernel")}
    words |= {"conv2d_transpose": ("transposed_kernel",), "p_re_lu": ("alpha",)}
    found = [*words.get(kind, ("kernel",)), "bias"][: len(arrays)]
    if len(found) < len(arrays):
        raise ValueError(f"it does not say what the {len(arrays)} weights of {name!r} are")
    return found


_NORMALIZATION: Final = ("mean", "variance", "count")
_VALUES: Final[Mapping[str, str]] = {
    "bias": "bias",
    "b": "bias",
    "beta": "bias",
    "gamma": "weight",
    "alpha": "weight",
    "moving_mean": "running_mean",
    "running_mean": "running_mean",
    "moving_variance": "running_var",
    "running_std": "running_var",
}


def by_layer(root: Hdf5Node, *, theano: bool) -> dict[str, tuple[Array, Shape]]:
    """The weights of a file without a description, by `LAYER.weight` and so on, with PyTorch's shapes.

    A linear layer that takes more values than the last convolution gives is taken for one after a flattened square map
    with channels last, as TensorFlow has it. Raises `ValueError`.
    """
    found: dict[str, tuple[Array, Shape]] = {}
    channels = 0
    for name, words, arrays in layers_by_name(root):
        if tuple(words) == _NORMALIZATION:  # a part of the preprocessing
            continue
        for word, array in zip(words, arrays, strict=True):
            layer, values, turned = name, _VALUES.get(word, "weight"), array
            if array.ndim == 4:
                turned, channels = _turn(word, array)
                turned = turned[:, :, ::-1, ::-1] if theano else turned
                layer = f"{name}/pointwise" if word == "pointwise_kernel" else name
            elif array.ndim == 2:
                turned, channels = _turn_linear(array, channels), 0
            elif word == "bias" and "pointwise_kernel" in words:
                layer = f"{name}/pointwise"
            elif word not in _VALUES or array.ndim > 3:
                raise ValueError(f"it does not say what {word!r} of {name!r} is")
            found[f"{layer}.{values}"] = turned, turned.shape
    if not found:
        raise ValueError("it holds no weights")
    return found


def _turn(word: str, kernel: Array) -> tuple[Array, int]:
    """A kernel with PyTorch's axes, and how many channels it gives."""
    if word == "depthwise_kernel":
        high, wide, before, times = kernel.shape
        return kernel.transpose(2, 3, 0, 1).reshape(before * times, 1, high, wide), before * times
    if word == "W" and kernel.shape[2] == kernel.shape[3] < kernel.shape[0]:  # as Keras 1 has it with channels first
        return kernel, kernel.shape[0]
    turned = kernel.transpose(3, 2, 0, 1)
    return turned, turned.shape[1 if word == "transposed_kernel" else 0]


def _turn_linear(kernel: Array, channels: int) -> Array:
    """A linear layer's weight after a map of so many channels, or after none."""
    before, out = kernel.shape
    side = math.isqrt(before // channels) if channels else 0
    if side > 1 and side * side * channels == before:
        return kernel.reshape(side, side, channels, out).transpose(3, 2, 0, 1).reshape(out, before)
    return np.ascontiguousarray(kernel.T)
