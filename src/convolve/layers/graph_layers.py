"""Layers that files of other programs list, and torch has no module for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Leaf, sliding

Padding = tuple[int, int, int, int]
"""Left, right, above and below."""


@final
class Pool2d(nn.Module):
    """A pooling with any padding. With ``ceil`` the size is rounded up, and a last window that would begin beyond the
    map and the padding before it is left out, as Caffe has it; otherwise it is rounded down.

    An average is over the part of the window that lies in the map, or with ``count_padding`` in the padded map.

    Shape: (N, channels, H, W) -> (N, channels, H / 2, W / 2)
    """

    def __init__(
        self,
        mode: str = "max",
        kernel_size: tuple[int, int] = (2, 2),
        stride: tuple[int, int] = (2, 2),
        padding: Padding = (0, 0, 0, 0),
        *,
        ceil: bool = False,
        count_padding: bool = False,
    ) -> None:
        super().__init__()
        self.mode, self.kernel_size, self.stride, self.sides = mode, kernel_size, stride, padding
        self.padding = (padding[2], padding[0])
        self.ceil, self.count_padding = ceil, count_padding

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the maxima or averages of the windows."""
        left, right, top, bottom = self.sides
        height, width = maps.shape[2:]
        below = self._reach(0, height, top, bottom) - height - top
        across = self._reach(1, width, left, right) - width - left
        around = (left, across, top, below)
        if self.mode in ("max", "min"):
            sign = 1 if self.mode == "max" else -1
            return sign * F.max_pool2d(F.pad(sign * maps, around, value=-math.inf), self.kernel_size, self.stride)
        means = F.avg_pool2d(F.pad(maps, around), self.kernel_size, self.stride)
        counted = self.sides if self.count_padding else (0, 0, 0, 0)
        ones = F.pad(maps.new_ones(1, 1, height, width), counted, value=1.0)
        further = [all_ - part for all_, part in zip(around, counted, strict=True)]
        counted_part = F.avg_pool2d(F.pad(ones, further), self.kernel_size, self.stride)
        return means / counted_part

    def _reach(self, axis: int, side: int, before: int, after: int) -> int:
        """Where the last window ends, counted from the beginning of the padding."""
        kernel, stride = self.kernel_size[axis], self.stride[axis]
        steps = side + before + after - kernel
        if steps < 0 and not self.ceil:
            raise ValueError(f"its window of {kernel} is larger than the side of {side}")
        count = (-(-steps // stride) if self.ceil else steps // stride) + 1
        if self.ceil and (count - 1) * stride >= side + before:
            count -= 1
        return (max(count, 1) - 1) * stride + kernel

    def extra_repr(self) -> str:
        """Mode, kernel size, stride and padding."""
        return f"{self.mode}, kernel_size={self.kernel_size}, stride={self.stride}, padding={self.sides}"

    def describe(self) -> Leaf:
        """A pooling."""
        return Leaf("pooling", f"{self.mode} pool", sliding(self))


@final
class ChannelScale(nn.Module):
    """Each channel is multiplied by a weight, and a bias is added.

    Shape: (N, channels, H, W) -> (N, channels, H, W)
    """

    def __init__(self, channels: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, ...) to the same shape."""
        shape = (-1,) + (1,) * (maps.dim() - 2)
        scaled = maps * self.weight.view(shape)
        return scaled if self.bias is None else scaled + self.bias.view(shape)


FUNCTIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "abs": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "square": torch.square,
    "sqrt": torch.sqrt,
}


@final
class Function(nn.Module):
    """A function of `FUNCTIONS` of every value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, maps: Tensor) -> Tensor:
        """The values of the function."""
        return FUNCTIONS[self.name](maps)


@final
class HardSigmoid(nn.Module):
    """factor x + shift, between 0 and 1."""

    def __init__(self, factor: float = 0.2, shift: float = 0.5) -> None:
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, maps: Tensor) -> Tensor:
        """Values between 0 and 1."""
        return (self.factor * maps + self.shift).clamp(0, 1)


@final
class Power(nn.Module):
    """(shift + scale x) ^ power."""

    def __init__(self, scale: float = 1.0, shift: float = 0.0, power: float = 1.0) -> None:
        super().__init__()
        self.scale, self.shift, self.power = scale, shift, power

    def forward(self, maps: Tensor) -> Tensor:
        """The powers of all values."""
        values = maps if self.scale == 1 else maps * self.scale
        values = values if self.shift == 0 else values + self.shift
        return values if self.power == 1 else values.pow(self.power)


@final
class Concatenate(nn.Module):
    """Maps next to each other along an axis."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *maps: Tensor) -> Tensor:
        """Several maps to one."""
        return torch.cat(maps, self.axis)


Operation = Literal["add", "multiply", "maximum", "minimum", "mean"]


@final
class Elementwise(nn.Module):
    """Maps to one: their sum, each multiplied by its coefficient if there are ``coefficients``, their product, their
    maximum, minimum or mean. A map of one channel, or of one value in each, is repeated.
    """

    def __init__(self, operation: Operation = "add", coefficients: Sequence[float] = ()) -> None:
        super().__init__()
        self.operation, self.coefficients = operation, tuple(coefficients)

    def forward(self, *maps: Tensor) -> Tensor:
        """Several maps to one."""
        if self.coefficients:
            pairs = zip(maps, self.coefficients, strict=True)
            maps = tuple(each if factor == 1 else each * factor for each, factor in pairs)
        total = maps[0]
        for each in maps[1:]:
            if self.operation in ("add", "mean"):
                total = total + each
            elif self.operation == "multiply":
                total = total * each
            else:
                total = torch.maximum(total, each) if self.operation == "maximum" else torch.minimum(total, each)
        return total / len(maps) if self.operation == "mean" else total


@final
class Crop(nn.Module):
    """The part of a map that begins at ``offset`` (from above, from the left) and is as large as another map."""

    def __init__(self, offset: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, maps: Tensor, other: Tensor) -> Tensor:
        """(N, channels, H, W) and (N, others, h, w) to (N, channels, h, w)."""
        (top, left), (height, width) = self.offset, other.shape[2:]
        if maps.shape[2] < top + height or maps.shape[3] < left + width:
            raise ValueError(f"{height}x{width} at {top}, {left} is not inside of the map")
        return maps[:, :, top : top + height, left : left + width]


@final
class Reshape(nn.Module):
    """The values of each image in another shape; 0 keeps the length of an axis, and -1 is what is left."""

    def __init__(self, shape: Sequence[int] = (-1,)) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, ...) to (N, *shape)."""
        return maps.reshape(len(maps), *(side or maps.shape[1 + axis] for axis, side in enumerate(self.shape)))


@final
class Permute(nn.Module):
    """The axes in another order, which begins with 0."""

    def __init__(self, order: Sequence[int] = (0, 1, 2, 3)) -> None:
        super().__init__()
        self.order = tuple(order)

    def forward(self, maps: Tensor) -> Tensor:
        """The same values, whose axes have another order."""
        return maps.permute(self.order)


@final
class Slice(nn.Module):
    """Part of a map along an axis."""

    def __init__(self, axis: int = 1, begin: int = 0, end: int = 1) -> None:
        super().__init__()
        self.axis, self.begin, self.end = axis, begin, end

    def forward(self, maps: Tensor) -> Tensor:
        """The part from ``begin`` to before ``end``."""
        return maps.narrow(self.axis, self.begin, self.end - self.begin)


@final
class L2Normalize(nn.Module):
    """Values divided by the root of the sum of their squares along an axis, and of ``eps``."""

    def __init__(self, eps: float = 1e-12, axis: int = 1) -> None:
        super().__init__()
        self.eps, self.axis = eps, axis

    def forward(self, maps: Tensor) -> Tensor:
        """The same shape."""
        return maps / (maps.square().sum(self.axis, keepdim=True) + self.eps).sqrt()
