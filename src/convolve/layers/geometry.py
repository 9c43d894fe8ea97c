"""What a sliding window does to a map: how large the next one is, and how far a unit sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.pooling import MinPool2d
from convolve.layers.subsampling import Subsampling
from convolve.layers.table_convolution import TableConvolution

_SLIDING = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d | nn.LPPool2d | MinPool2d | Subsampling | TableConvolution


@dataclass(frozen=True)
class Window:
    """A convolution's or pooling's window along one side of the map, in units of that map."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    def output(self, side: int, *, exact: bool = False) -> int:
        """Units of the map behind the window: (side + 2 padding - reach) / stride + 1, where the reach is
        (kernel - 1) dilation + 1.

        Rounds down, as frameworks do; with ``exact`` a remainder is refused. Raises `NetworkError` then, and where the
        window does not fit in.
        """
        reach = (self.kernel - 1) * self.dilation + 1
        steps, left = divmod(side + 2 * self.padding - reach, self.stride)
        if steps < 0:
            raise NetworkError(
                f"A window that reaches over {reach} does not fit into {side} with padding {self.padding}."
            )
        if exact and left:
            raise NetworkError(
                f"Windows of {self.kernel} with stride {self.stride} leave {left} of {side} over; "
                "choose another stride or padding."
            )
        return steps + 1


class ReceptiveField(NamedTuple):
    """What the units of a map see along one side of the image, in pixels.

    Unit i sees the ``size`` pixels from ``offset`` + i * ``stride`` on. Pixels of the padding count, so ``offset`` may
    be negative.
    """

    size: int
    stride: int
    offset: int

    def through(self, window: Window) -> Self:
        """What the units behind a window see."""
        size = self.size + (window.kernel - 1) * window.dilation * self.stride
        return type(self)(size, self.stride * window.stride, self.offset - window.padding * self.stride)

    def over(self, units: int) -> Self:
        """What one unit made of all ``units`` of a side sees."""
        return type(self)(self.size + (units - 1) * self.stride, self.stride * units, self.offset)

    def union(self, other: ReceptiveField) -> Self:
        """What a unit sees in which two branches meet."""
        offset = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return type(self)(end - offset, min(self.stride, other.stride), offset)


def windows(layer: nn.Module) -> tuple[Window, Window] | None:
    """The windows (down, across) of a convolution or pooling; None for other layers."""
    if not isinstance(layer, _SLIDING):
        return None
    kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
    dilation = _pair(getattr(layer, "dilation", 1))
    padding = getattr(layer, "padding", 0)
    if padding == "same":
        padding = tuple(step * (side - 1) // 2 for side, step in zip(kernel, dilation, strict=True))
    padding = _pair(0 if padding == "valid" else padding)
    return (
        Window(kernel[0], stride[0], padding[0], dilation[0]),
        Window(kernel[1], stride[1], padding[1], dilation[1]),
    )


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
