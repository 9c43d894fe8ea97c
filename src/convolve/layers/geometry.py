"""What a sliding window does to a map: the size of its output, and the receptive field of the output's units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

from convolve.errors import NetworkError

Pixels = int | Fraction
"""A length in pixels of the image: after a transposed convolution it may be a fraction, and is an integer otherwise."""


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
    all layers so far: the jump from one unit's field to the next; it is 0 where all units see the same. Padding counts,
    so ``offset`` may be negative.

    Units of an enlarged map see different numbers of pixels, in turn. ``size`` is then that of the smallest window that
    moves by the stride and holds what each unit sees: some unit sees its first pixel, some unit its last.
    """

    size: Pixels
    stride: Pixels
    offset: Pixels

    def through(self, window: Window) -> Self:
        """The fields after a layer with this window."""
        size = self.size + (window.kernel - 1) * window.dilation * self.stride
        return self._replace_all(size, self.stride * window.stride, self.offset - window.padding * self.stride)

    def through_transposed(self, window: Window) -> Self:
        """The fields after a transposed convolution with this window.

        Unit o of its output is made from the units i of its input for which o + padding = i * stride + j * dilation,
        where j < kernel: the first is (o + padding - reach) / stride rounded up, the last (o + padding) / stride
        rounded down, with reach = (kernel - 1) * dilation. Without the rounding these are the ends of a window.
        """
        step, reach = Fraction(self.stride) / window.stride, (window.kernel - 1) * window.dilation
        return self._replace_all(self.size + reach * step, step, self.offset + (window.padding - reach) * step)

    def resized(self, units: int, target: int, *, linear: bool, aligned: bool = False) -> Self:
        """The fields after ``units`` of a side became ``target``: each is the nearest one, or with ``linear`` between
        two neighbors. ``aligned`` corners are the centers of the first and last unit, otherwise their outer edges.

        Unit o of the output lies at ratio * o + shift among those of the input, which is rounded down for the first
        unit that it is made from, and for linear interpolation up for the last one.
        """
        if units == 1:
            return self._replace_all(self.size, 0, self.offset)
        ratio = Fraction(units - 1, max(target - 1, 1)) if aligned and linear else Fraction(units, target)
        shift = (ratio - 1) / 2 if linear and not aligned else Fraction(0)
        low, high = _largest_remainder(ratio, shift), _largest_remainder(-ratio, -shift) if linear else 0
        step = self.stride
        return self._replace_all(self.size + step * (low + high), step * ratio, self.offset + step * (shift - low))

    def pooled(self, units: int, target: int) -> Self:
        """The fields after adaptive pooling of ``units`` of a side into ``target``: from unit o * ratio rounded down to
        (o + 1) * ratio rounded up.
        """
        ratio = Fraction(units, target)
        slack, step = Fraction(ratio.denominator - 1, ratio.denominator), self.stride
        return self._replace_all(self.size + step * (ratio - 1 + 2 * slack), step * ratio, self.offset - step * slack)

    def over(self, units: int) -> Self:
        """The field of one unit that is computed from all ``units`` of a side."""
        return self._replace_all(self.size + (units - 1) * self.stride, self.stride * units, self.offset)

    def within(self, side: int) -> Self:
        """The part of the first unit's field that lies in an image of this side."""
        start, end = max(self.offset, 0), min(self.offset + self.size, side)
        return self._replace_all(end - start, self.stride, start)

    def union(self, other: ReceptiveField, units: int = 1) -> Self:
        """The field of a unit in which two branches meet: from the first pixel of either to the last of either.

        Where their strides differ, it holds those of all ``units`` of a side.
        """
        stride, offset = min(self.stride, other.stride), min(self.offset, other.offset)
        end = max(field.offset + field.size + (units - 1) * (field.stride - stride) for field in (self, other))
        return self._replace_all(end - offset, stride, offset)

    def _replace_all(self, size: Pixels, stride: Pixels, offset: Pixels) -> Self:
        lengths = (Fraction(length) for length in (size, stride, offset))
        return type(self)(*(int(length) if length.denominator == 1 else length for length in lengths))


def _largest_remainder(ratio: Fraction, shift: Fraction) -> Fraction:
    """The largest remainder of ratio * i + shift, for any integer i, that rounding down leaves out."""
    unit = math.lcm(ratio.denominator, shift.denominator)
    step = math.gcd(int(ratio * unit), unit)
    return Fraction(unit - step + int(shift * unit) % step, unit)
