"""A layer of Keras' files and the network that it becomes a part of, in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from convolve.interop.layer_shapes import Shape
from convolve.interop.network_builder import NetworkBuilder
from convolve.models.definition import Value

Array = npt.NDArray[Any]
CHANNELS_FIRST: Final = ("channels_first", "th")
"""Words for maps with their channels before height and width."""


def is_number(value: Any) -> bool:
    """Whether a value of a description is a number that computers count with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


@final
@dataclass(frozen=True)
class Layer:
    """A layer of the file: its class, its name here, its options, and its weights in the file's order."""

    kind: str
    name: str
    config: Mapping[str, Any]
    arrays: Sequence[Array]

    def error(self, what: str) -> ValueError:
        """An error that names the layer."""
        return ValueError(f"the layer {self.name!r} ({self.kind}) {what}")

    def option(self, *names: str, default: Any = None) -> Any:
        """The first of these options that is given; it has other names in other versions of Keras."""
        return next((self.config[name] for name in names if self.config.get(name) is not None), default)

    def number(self, *names: str, default: float | None = None) -> float:
        """An option that is a number. Raises `ValueError`."""
        value = self.option(*names, default=default)
        if isinstance(value, dict):  # a number with its type
            value = value["config"].get("value") if isinstance(value.get("config"), dict) else value.get("value")
        if not is_number(value):
            raise self.error(f"has no {names[0]}")
        return float(value)

    def whole(self, *names: str, default: int | None = None) -> int:
        """An option that is a whole number. Raises `ValueError`."""
        value = self.number(*names, default=default)
        if value != int(value) or abs(value) > 2**31:
            raise self.error(f"has {names[0]} {value:g}, which is not whole")
        return int(value)

    def flag(self, *names: str, default: bool) -> bool:
        """Whether an option is set."""
        return self.option(*names, default=default) is not False

    def pair(self, *names: str, default: int | None = None) -> tuple[int, int]:
        """An option that is one whole number for height and width, or one for each. Raises `ValueError`."""
        value = self.option(*names, default=default)
        pair = value if isinstance(value, list | tuple) else [value, value]
        if len(pair) != 2 or not all(type(each) is int and 0 <= each < 2**24 for each in pair):
            raise self.error(f"has no {names[0]} of two whole numbers")
        return pair[0], pair[1]

    def expect(self, *shapes: Shape) -> Sequence[Array]:
        """The weights, if they are as many as these shapes and have them. Raises `ValueError`."""
        found = [array.shape for array in self.arrays]
        if found != [*shapes]:
            texts = [", ".join("x".join(map(str, shape)) for shape in each) or "none" for each in (found, shapes)]
            raise self.error(f"has weights of the shapes {texts[0]}, and needs {texts[1]}")
        return self.arrays


@final
@dataclass(frozen=True)
class Context:
    """The network so far, and the version of Keras that its file is of. ``orders`` are the shapes of maps that were
    flattened, by the names of layers whose values Keras has in another order; ``theano`` says that the file was written
    with that backend.
    """

    builder: NetworkBuilder
    version: int
    channels_first: bool
    theano: bool
    orders: dict[str, Shape] = field(default_factory=dict)

    def shape(self, flow: str) -> Shape:
        """The shape of a layer's output."""
        return self.builder.shapes[flow]

    def map_shape(self, layer: Layer, flow: str) -> tuple[int, int, int]:
        """The same for a map. Raises `ValueError` for what is none."""
        shape = self.shape(flow)
        if len(shape) != 3:
            raise layer.error(f"needs a map, and is given {'x'.join(map(str, shape))}")
        return shape[0], shape[1], shape[2]

    def axis(self, layer: Layer, flow: str, axis: Any) -> int:
        """An axis as it is counted here. Raises `ValueError` where there is no such axis."""
        axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
        rank = len(self.shape(flow)) + 1
        if type(axis) is not int or not -rank < axis < rank or axis == 0:
            raise layer.error(f"has axis {axis!r}, which its input does not have")
        axis %= rank
        return axis if self.channels_first or rank < 4 else {1: 2, 2: 3, 3: 1}[axis]

    def add(self, name: str, kind: str, flow: str, options: Mapping[str, Value]) -> str:
        """Add a layer that keeps the order of a flattened map's values."""
        found = self.builder.add(name, kind, [flow], options)
        if flow in self.orders:
            self.orders[found] = self.orders[flow]
        return found

    def natural(self, flow: str) -> str:
        """The output of a layer with its values in Keras' order."""
        if flow not in self.orders:
            return flow
        name, shape = f"{flow}/order", self.orders[flow]
        if name not in self.builder.shapes:
            self.builder.add(f"{name}/map", "reshape", [flow], {"shape": shape})
            self.builder.add(f"{name}/turned", "permute", [f"{name}/map"], {"order": (0, 2, 3, 1)})
            self.builder.add(name, "flatten", [f"{name}/turned"], {})
        return name

    def indices(self, flow: str) -> npt.NDArray[np.intp] | slice:
        """Where in Keras' order each value of a layer's output is."""
        if flow not in self.orders:
            return slice(None)
        channels, height, width = self.orders[flow]
        indices: npt.NDArray[np.intp] = np.arange(channels * height * width).reshape(height, width, channels)
        return indices.transpose(2, 0, 1).ravel()


Reader = Callable[[Layer, Sequence[str], Context], str]
"""Adds a layer with these inputs, and says which layer gives its output."""
