"""A network in words as a reader of another program's file makes it, layer after layer, with shapes and tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convolve.interop.layer_shapes import Shape, shape_after
from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition, Value

_FREE: Final = 2**24
"""Numbers that tensors may repeat beyond those that a file has."""


@final
class NetworkBuilder:
    """Collects layers and their tensors; ``shapes`` are without the batch, by the layers' names.

    Every method raises `ValueError`, with a sentence, for what cannot be.
    """

    def __init__(self, image: tuple[int, int, int]) -> None:
        self.shapes: dict[str, Shape] = {IMAGE: image}
        self._image = image
        self._layers: list[LayerDefinition] = []
        self._arrays: dict[str, tuple[npt.NDArray[Any], Shape]] = {}

    def add(self, name: str, kind: str, inputs: Sequence[str], options: Mapping[str, Value]) -> str:
        """Add a layer; its name."""
        layer = LayerDefinition(name, kind, tuple(inputs), options)
        if name in self.shapes:
            raise ValueError(f"two of its layers are called {name!r}")
        self.shapes[name] = shape_after(layer, [self.shapes[source] for source in inputs])
        self._layers.append(layer)
        return name

    def give(self, layer: str, values: str, array: npt.NDArray[Any], shape: Shape) -> None:
        """Give a layer its `weight`, or other ``values``, in PyTorch's shape; the array's may have other axes."""
        if array.size != math.prod(shape):
            raise ValueError(
                f"the layer {layer!r} has a {values} of {'x'.join(map(str, array.shape)) or 'one number'}, "
                f"and needs {'x'.join(map(str, shape))}"
            )
        self._arrays[f"{layer}.{values}"] = array, shape

    def definition(self, source: str, title: str, outputs: Sequence[str]) -> NetworkDefinition:
        """The network so far."""
        return NetworkDefinition(source, title, self._image, tuple(self._layers), tuple(dict.fromkeys(outputs)))

    def tensors(self, held: int) -> dict[str, Tensor]:
        """The tensors so far, as float32, of a file of ``held`` bytes."""
        return to_tensors(self._arrays, held)


def to_tensors(arrays: Mapping[str, tuple[npt.NDArray[Any], Shape]], held: int) -> dict[str, Tensor]:
    """Arrays in the shapes next to them as tensors of float32; ``held`` are the bytes of the file that they are from.

    Raises `ValueError` where they are not finite, or more numbers than the file can hold.
    """
    if sum(array.size for array, _ in arrays.values()) > held + _FREE:
        raise ValueError("its layers repeat more numbers than it has")
    tensors: dict[str, Tensor] = {}
    for name, (array, shape) in arrays.items():
        with np.errstate(over="ignore"):
            values = np.array(array, np.float32, order="C").reshape(shape)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has numbers that are not finite")
        if name.endswith(".running_var") and (values < 0).any():
            raise ValueError(f"{name} has variances below zero")
        tensors[name] = torch.from_numpy(values)
    return tensors
