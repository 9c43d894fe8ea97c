"""What a layer says of itself, for the layer table and the figures of networks.

`describe` answers for torch's layers by their type; a layer of our own has a method ``describe`` (`SelfDescribing`).
Neither the table nor a figure ever looks at a class name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn

from convolve.layers.geometry import Window

Kind = Literal["convolution", "pooling", "dense", "other"]
Windows = tuple[Window, Window]
"""Down and across."""


@dataclass(frozen=True)
class Leaf:
    """A layer without submodules. The defaults describe one that has no window and no product, such as ReLU.

    ``name`` is what figures call it; ``windows`` are those of a convolution or pooling; ``weights`` is the number of
    weights that are used once at each position of its output. With ``transposed`` the layer enlarges a map: its windows
    are on its output, and its weights are used at each position of its input.
    """

    kind: Kind = "other"
    name: str = ""
    windows: Windows | None = None
    groups: int | None = None
    weights: int = 0
    transposed: bool = False


@dataclass(frozen=True)
class Series:
    """The submodules of these names, one after the other."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Parallel:
    """The submodules of these names read the same maps; their outputs are concatenated."""

    branches: tuple[str, ...]


@dataclass(frozen=True)
class Ends:
    """The submodules of these names follow one another, and outputs leave at the end of each."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Skip:
    """What enters is added to the output of the submodule of this name."""

    branch: str


@dataclass(frozen=True)
class Growing:
    """``count`` equal layers, each of which reads the maps of all before it and adds ``growth`` of its own; ``layer``
    names the first.
    """

    layer: str
    count: int
    growth: int


@dataclass(frozen=True)
class Gate:
    """Each channel is multiplied by a number that is computed from all of them."""


Description = Leaf | Series | Parallel | Ends | Skip | Growing | Gate


_POOLINGS = ((nn.MaxPool2d, "max pool"), (nn.AvgPool2d, "average pool"), (nn.LPPool2d, "Lp pool"))
_GLOBAL = ((nn.AdaptiveAvgPool2d, "global average pool"), (nn.AdaptiveMaxPool2d, "global max pool"))


@runtime_checkable
class SelfDescribing(Protocol):
    """A module that describes itself."""

    def describe(self) -> Description:
        """What it is."""
        ...


def describe(module: nn.Module) -> Description:
    """What a module is: a kind of layer, or how its submodules are put together.

    Nothing is known of another library's module that has submodules: it is an `other` leaf, too.
    """
    if isinstance(module, SelfDescribing):
        return module.describe()
    match module:
        case nn.Sequential() if type(module).forward is nn.Sequential.forward:
            return Series(tuple(name for name, _ in module.named_children()))
        case nn.Conv2d():
            return Leaf("convolution", "conv", sliding(module), module.groups, module.weight.numel())
        case nn.ConvTranspose2d():
            name, count = "transposed conv", module.weight.numel()
            return Leaf("convolution", name, sliding(module), module.groups, count, transposed=True)
        case nn.Linear():
            return Leaf("dense", "dense", weights=module.weight.numel())
        case nn.MaxPool2d() | nn.AvgPool2d() | nn.LPPool2d():
            return Leaf("pooling", next(name for kind, name in _POOLINGS if isinstance(module, kind)), sliding(module))
        case nn.PixelUnshuffle():
            window = Window(module.downscale_factor, module.downscale_factor, 0, 1)
            return Leaf(name="space to depth", windows=(window, window))
        case nn.PixelShuffle():
            window = Window(module.upscale_factor, module.upscale_factor, 0, 1)
            return Leaf(name="depth to space", windows=(window, window), transposed=True)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            return Leaf("pooling", next(name for kind, name in _GLOBAL if isinstance(module, kind)))
    return Leaf()


def windows(module: nn.Module) -> Windows | None:
    """The windows (down, across) of a convolution or pooling on its input; None for every other module."""
    description = describe(module)
    return description.windows if isinstance(description, Leaf) and not description.transposed else None


class _Sliding(Protocol):
    @property
    def kernel_size(self) -> int | tuple[int, ...]: ...
    @property
    def stride(self) -> int | tuple[int, ...] | None: ...


def sliding(layer: _Sliding) -> Windows:
    """The windows of a layer that has `kernel_size`, `stride` and perhaps `padding` and `dilation`, as torch's have."""
    sides: list[Any] = [layer.kernel_size, layer.kernel_size if layer.stride is None else layer.stride]
    sides += [getattr(layer, "dilation", 1), getattr(layer, "padding", 0)]
    kernel, stride, dilation, padding = ((side, side) if isinstance(side, int) else side for side in sides)
    if padding == "same":
        padding = tuple(step * (side - 1) // 2 for side, step in zip(kernel, dilation, strict=True))
    if padding == "valid":
        padding = (0, 0)
    return (
        Window(kernel[0], stride[0], padding[0], dilation[0]),
        Window(kernel[1], stride[1], padding[1], dilation[1]),
    )
