"""The steps before and after an exported network, written once for every format: from an image as it is to the
network's input, and from the network's maps to what a task says of the image.

Each format has the same few operations (`GraphOperations`); a value is whatever it works with. Sizes are computed in
the graph, as (1,) int64 values, to the same integers as in `datasets.preprocess`. A quotient that lies exactly between
two whole numbers is rounded to the even one, also where floating point would miss that by its last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from convolve.choices import Fit
from convolve.datasets.preprocess import CACHE_SCALE
from convolve.values import Preprocessing

Value = Any
"""A value of a graph that is being built."""
Kind = Literal["float32", "int64", "int32", "uint8"]


class GraphOperations(Protocol):
    """What a format can put into a graph; arithmetic broadcasts, and integers divide without a remainder."""

    def integers(self, *numbers: int) -> Value:
        """A constant (K,) int64."""
        ...

    def floats(self, numbers: Sequence[float], shape: Sequence[int]) -> Value:
        """A constant float32 of a shape."""
        ...

    def side(self, value: Value, axis: int) -> Value:
        """(1,) int64, the length of an axis."""
        ...

    def add(self, left: Value, right: Value) -> Value:
        """The sum."""
        ...

    def subtract(self, left: Value, right: Value) -> Value:
        """The difference."""
        ...

    def multiply(self, left: Value, right: Value) -> Value:
        """The product."""
        ...

    def divide(self, left: Value, right: Value) -> Value:
        """The quotient; of integers, which are not negative, rounded down."""
        ...

    def least(self, left: Value, right: Value) -> Value:
        """The smaller of each two."""
        ...

    def greatest(self, left: Value, right: Value) -> Value:
        """The larger of each two."""
        ...

    def choose_if_equal(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where left and right are equal, else the other."""
        ...

    def choose_at_most(self, left: Value, right: Value, chosen: Value, other: Value) -> Value:
        """What is ``chosen`` where the left is at most the right, else the other."""
        ...

    def join(self, values: Sequence[Value], axis: int = 0) -> Value:
        """Values one after another along an axis."""
        ...

    def cast(self, value: Value, kind: Kind) -> Value:
        """The same numbers of another kind."""
        ...

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """The axes in another order."""
        ...

    def reshape(self, value: Value, shape: Value) -> Value:
        """The same numbers in a shape (K,) int64, in which -1 is what remains."""
        ...

    def maximum(self, value: Value, axis: int) -> tuple[Value, Value]:
        """The largest along an axis, which is gone then, and its index (int64): the first where several are equal."""
        ...

    def resize(self, value: Value, height: Value, width: Value) -> Value:
        """(N, C, H, W) resized linearly, between the centers of pixels and without a look at any others."""
        ...

    def shrink(self, value: Value, height: Value, width: Value, block: Value) -> Value:
        """(N, C, H, W) to the means of ``height`` times ``width`` squares whose sides have ``block`` pixels, (1,) each,
        into which it is resized before.
        """
        ...

    def part(self, value: Value, begins: Value, ends: Value, axes: Sequence[int]) -> Value:
        """The part of a value between two positions on each of some axes."""
        ...

    def pad(self, value: Value, before: Value, after: Value) -> Value:
        """A value with so many zeros before and after it on each axis."""
        ...

    def gather(self, value: Value, indices: Value) -> Value:
        """(A, B, …) numbers at indices (K, 2) of the first two axes: (K, …)."""
        ...

    def suppress(self, boxes: Value, scores: Value, iou: float, most: int) -> Value:
        """(N, B, 4) boxes and (N, B) scores to (K, 2) int64: an image and a box, the images in their order and the
        boxes of each from the highest score on; without those of score 0, and at most so many of each image.
        """
        ...


@dataclass(frozen=True)
class Size:
    """A height and a width, (1,) int64 each."""

    height: Value
    width: Value


@dataclass(frozen=True)
class View:
    """How images lie in the network's input.

    From their ``own`` size they are resized to ``small``; of that the part of the size ``crop`` whose corner is at
    ``left`` and ``top`` fills the size ``filled`` of the input, which has the size ``plane``, from ``offset_x`` and
    ``offset_y`` on.
    """

    own: Size
    small: Size
    crop: Size
    left: Value
    top: Value
    filled: Size
    offset_x: Value
    offset_y: Value
    plane: Size


@dataclass(frozen=True)
class Steps:
    """The steps around a network, put together from the operations of a format."""

    do: GraphOperations
    preprocessing: Preprocessing

    def view(self, images: Value) -> View:
        """How images (N, H, W, C) come to the network's input, as `datasets.preprocess.fit_to_input` brings them."""
        plane = Size(*map(self.do.integers, (self.preprocessing.height, self.preprocessing.width)))
        return self._view(self._own(images), plane, self.preprocessing.fit)

    def whole_view(self, images: Value) -> View:
        """How images (N, H, W, C) come to an input that shows all of them: with `crop` it is as large as what covers
        the network's own, and with `tiles` as the images.
        """
        if self.preprocessing.fit == "tiles":
            return self.own_view(images)
        own = self._own(images)
        if self.preprocessing.fit == "crop":
            known = Size(*map(self.do.integers, (self.preprocessing.height, self.preprocessing.width)))
            return self._view(own, self._covering(own, known), "stretch")
        return self.view(images)

    def own_view(self, images: Value) -> View:
        """How images (N, H, W, C) come to an input as large as they are."""
        own = self._own(images)
        return self._view(own, own, "stretch")

    def normalized(self, images: Value, view: View) -> Value:
        """What the network takes, (N, C, height, width) float32, of images (N, H, W, C) uint8."""
        do, channels = self.do, self.preprocessing.channels
        pixels = do.cast(do.transpose(images, (0, 3, 1, 2)), "float32")
        pixels = do.shrink(pixels, view.small.height, view.small.width, self._block(view))
        if self.preprocessing.fit == "crop":
            pixels = do.part(pixels, *self._corners(view.top, view.left, view.crop))
        pixels = do.resize(pixels, view.filled.height, view.filled.width)
        padding = [0.0] * channels
        if self.preprocessing.fit == "letterbox":
            padding = [float(round(255 * value)) for value in self.preprocessing.mean]
            pixels = self._padded(do.subtract(pixels, self._colors(padding)), view)
        scales = [1 / (255 * deviation) for deviation in self.preprocessing.std]
        colors = zip(padding, self.preprocessing.mean, self.preprocessing.std, strict=True)
        shifts = [(color / 255 - mean) / deviation for color, mean, deviation in colors]
        return do.add(do.multiply(pixels, self._colors(scales)), self._colors(shifts))

    def most_likely_classes(self, probabilities: Value, view: View, kind: Kind) -> tuple[Value, Value]:
        """The class of each pixel of the images (N, H, W) and its probability, from those of the input's pixels
        (N, classes, height, width).
        """
        confidence, classes = self.do.maximum(self.at_own_size(probabilities, view), 1)
        return self.do.cast(classes, kind), confidence

    def at_own_size(self, maps: Value, view: View) -> Value:
        """Maps of the input (N, C, height, width) at the size of the images (N, C, H, W), without the padding of
        `letterbox`.
        """
        if self.preprocessing.fit == "letterbox":
            maps = self.do.part(maps, *self._corners(view.offset_y, view.offset_x, view.filled))
        return self.do.resize(maps, view.own.height, view.own.width)

    def in_images(self, boxes: Value, view: View) -> Value:
        """(K, 4) boxes in pixels of the input in those of the images, clipped to these."""
        do = self.do
        scales, shifts, ends = self._to_images(view)
        moved = do.add(do.multiply(boxes, do.join(scales * 2)), do.join(shifts * 2))
        return do.least(do.greatest(moved, do.floats([0.0], [1])), do.join(ends * 2))

    def points_in_images(self, points: Value, view: View) -> Value:
        """(…, 2) points in pixels of the input in those of the images."""
        scales, shifts, _ = self._to_images(view)
        return self.do.add(self.do.multiply(points, self.do.join(scales)), self.do.join(shifts))

    def _to_images(self, view: View) -> tuple[list[Value], list[Value], list[Value]]:
        """Across and down: what coordinates in the input are multiplied by and what is then added to them, to be those
        of the images, and where these end.
        """
        do = self.do
        across = (view.own.width, view.small.width, view.crop.width, view.filled.width, view.left, view.offset_x)
        down = (view.own.height, view.small.height, view.crop.height, view.filled.height, view.top, view.offset_y)
        scales, shifts, ends = [], [], []
        for sides in (across, down):
            own, small, crop, filled, start, offset = (do.cast(side, "float32") for side in sides)
            to_own = do.divide(own, small)
            scales.append(do.multiply(to_own, do.divide(crop, filled)))
            shifts.append(do.subtract(do.multiply(to_own, start), do.multiply(scales[-1], offset)))
            ends.append(own)
        return scales, shifts, ends

    def _own(self, images: Value) -> Size:
        return Size(self.do.side(images, 1), self.do.side(images, 2))

    def _view(self, own: Size, plane: Size, fit: Fit) -> View:
        """As `datasets.preprocess.source_boxes` and `box_matrices`, of an image as it is cached."""
        zero = self.do.integers(0)
        small = self._cached(own, plane, fit)
        crop, left, top, filled, offset_x, offset_y = small, zero, zero, plane, zero, zero
        if fit == "crop":
            crop = self._inside(plane, small)
            left, top = self._middle(small.width, crop.width), self._middle(small.height, crop.height)
        if fit == "letterbox":
            filled = self._inside(small, plane)
            offset_x, offset_y = self._middle(plane.width, filled.width), self._middle(plane.height, filled.height)
        return View(own, small, crop, left, top, filled, offset_x, offset_y, plane)

    def _cached(self, own: Size, plane: Size, fit: Fit) -> Size:
        """As `datasets.preprocess.cached_size`."""
        do = self.do
        percent, hundred, rest = do.integers(round(100 * CACHE_SCALE)), do.integers(100), do.integers(99)
        goal = Size(
            *(do.divide(do.add(do.multiply(side, percent), rest), hundred) for side in (plane.height, plane.width))
        )
        if fit == "stretch":
            return Size(do.least(own.height, goal.height), do.least(own.width, goal.width))
        if fit == "crop":  # an image stays as it is where either side is short
            covering = self._covering(own, goal)
            wide = self._choose_size(own.width, goal.width, own, covering)
            return self._choose_size(own.height, goal.height, own, wide)
        inside = self._inside(own, goal)
        wide = self._choose_size(own.width, goal.width, own, inside)
        return self._choose_size(own.height, goal.height, wide, inside)

    def _block(self, view: View) -> Value:
        """(1,) the side in pixels of the squares that are averaged; see `datasets.preprocess.resize_for_cache`."""
        do, one = self.do, self.do.integers(1)
        down = self._rounded(view.own.height, one, view.small.height)
        across = self._rounded(view.own.width, one, view.small.width)
        return do.greatest(do.least(down, across), one)

    def _inside(self, source: Size, target: Size) -> Size:
        """The largest size in the proportions of the source that is no larger than the target."""
        wide, high = self._in_proportion(source, target)
        left, right = self._compared(source, target)
        return self._choose_size(left, right, wide, high)

    def _covering(self, source: Size, target: Size) -> Size:
        """The least size in the proportions of the source that is no smaller than the target."""
        wide, high = self._in_proportion(source, target)
        left, right = self._compared(source, target)
        return self._choose_size(right, left, wide, high)

    def _compared(self, source: Size, target: Size) -> tuple[Value, Value]:
        """Two numbers as far apart as the target's width and height, each over the source's."""
        do = self.do
        return do.multiply(target.width, source.height), do.multiply(target.height, source.width)

    def _in_proportion(self, source: Size, target: Size) -> tuple[Size, Size]:
        """The sizes in the proportions of the source that are as wide as the target, and as high."""
        do, one = self.do, self.do.integers(1)
        height = self._rounded(source.height, target.width, source.width)
        width = self._rounded(source.width, target.height, source.height)
        return Size(do.greatest(height, one), target.width), Size(target.height, do.greatest(width, one))

    def _rounded(self, first: Value, second: Value, divisor: Value) -> Value:
        """First * second / divisor, of what lies exactly between two whole numbers the even one."""
        do, two = self.do, self.do.integers(2)
        doubled = do.multiply(divisor, two)
        dividend = do.add(do.multiply(do.multiply(first, second), two), divisor)
        quotient = do.divide(dividend, doubled)
        odd = do.subtract(quotient, do.multiply(do.divide(quotient, two), two))
        even = do.subtract(quotient, odd)
        return do.choose_if_equal(do.multiply(quotient, doubled), dividend, even, quotient)

    def _choose_size(self, left: Value, right: Value, chosen: Size, other: Size) -> Size:
        """What is ``chosen`` where the left number is at most the right one, else the other."""
        return Size(
            self.do.choose_at_most(left, right, chosen.height, other.height),
            self.do.choose_at_most(left, right, chosen.width, other.width),
        )

    def _middle(self, length: Value, part: Value) -> Value:
        """(1,) where a part begins that is in the middle."""
        return self.do.divide(self.do.subtract(length, part), self.do.integers(2))

    def _corners(self, top: Value, left: Value, size: Size) -> tuple[Value, Value, tuple[int, int]]:
        """Where a part of (N, C, H, W) begins and ends, and on which axes."""
        do = self.do
        return do.join([top, left]), do.join([do.add(top, size.height), do.add(left, size.width)]), (2, 3)

    def _padded(self, pixels: Value, view: View) -> Value:
        do, none = self.do, self.do.integers(0, 0)
        below = do.subtract(do.subtract(view.plane.height, view.filled.height), view.offset_y)
        right = do.subtract(do.subtract(view.plane.width, view.filled.width), view.offset_x)
        return do.pad(pixels, do.join([none, view.offset_y, view.offset_x]), do.join([none, below, right]))

    def _colors(self, values: Sequence[float]) -> Value:
        return self.do.floats(values, (1, len(values), 1, 1))
