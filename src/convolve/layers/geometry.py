"""What a sliding window does to a map: the size of its output, and the receptive field of the output's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from convolve.errors import NetworkError


@dataclass(frozen=True)
class Window:
    """A convolution's or pooling's window along one side of the map, in units of that map."""

    kernel: int
    stride: int
    padding: int
    dilation: int

    def output(self, side: int, *, exact: bool = False) -> int:
        """Units on a side of the output map: (side + 2 padding - extent) / stride + 1, where the extent of the dilated
        window is (kernel - 1) dilation + 1.

        Rounds down, as frameworks do. Raises `NetworkError` where the window does not fit into the padded map, and with
        ``exact`` also where the division leaves a remainder.
        """
        extent = (self.kernel - 1) * self.dilation + 1
        steps, remainder = divmod(side + 2 * self.padding - extent, self.stride)
        if steps < 0:
            raise NetworkError(
                f"A window that spans {extent} units does not fit into a side of {side} with padding {self.padding}; "
                "choose a smaller kernel or more padding."
            )
        if exact and remainder:
            raise NetworkError(
                f"Windows of {self.kernel} with stride {self.stride} and padding {self.padding} leave a remainder of "
                f"{remainder} on a side of {side}; choose another stride or padding."
            )
        return steps + 1


class ReceptiveField(NamedTuple):
    """The receptive fields of a map's units along one side of the image, in pixels.

    Unit i sees ``size`` pixels, the first of which is ``offset`` + i * ``stride``. ``stride`` is the effective one, of
    all layers so far: the jump from one unit's field to the next. Padding counts, so ``offset`` may be negative.
    """

    size: int
    stride: int
    offset: int

    def through(self, window: Window) -> Self:
        """The fields after a layer with this window."""
        size = self.size + (window.kernel - 1) * window.dilation * self.stride
        return type(self)(size, self.stride * window.stride, self.offset - window.padding * self.stride)

    def over(self, units: int) -> Self:
        """The field of one unit that is computed from all ``units`` of a side."""
        return type(self)(self.size + (units - 1) * self.stride, self.stride * units, self.offset)

    def union(self, other: ReceptiveField) -> Self:
        """The field of a unit in which two branches meet: from the first pixel of either to the last of either."""
        offset = min(self.offset, other.offset)
        end = max(self.offset + self.size, other.offset + other.size)
        return type(self)(end - offset, min(self.stride, other.stride), offset)
