"""Images of any size through an export: those of one size that follow one another together, the others one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from convolve.datasets.crops import ImagePart
from convolve.values import Pixels

if TYPE_CHECKING:
    from convolve.exports.engine import Engine, Outputs

_MOST = 16
_PIXELS_AT_ONCE = 2**22
"""Pixels of the images that go through the network together; one image always does."""


@final
@dataclass(frozen=True, eq=False)
class ReadImage:
    """An image as it was read: the ``pixels`` (H, W, C) that the network is given, the ``size`` (height, width) of the
    image itself, which may be larger, all of its pixels where they are needed, and what it is a part of where that
    matters. Where there are ``areas``, rows and columns of the pixels, the network is given these one by one in place
    of the whole.
    """

    pixels: Pixels
    size: tuple[int, int]
    whole: Pixels | None = None
    part: ImagePart | None = None
    areas: tuple[tuple[slice, slice], ...] = ()


@final
@dataclass(frozen=True, eq=False)
class FoundInImage:
    """The index of an image, the image, and what leaves the network for it alone, by name; for each of its ``areas``,
    where it has any.
    """

    index: int
    image: ReadImage
    outputs: Outputs
    areas: tuple[Outputs, ...] = ()


def run_images(engine: Engine, images: Iterable[tuple[int, ReadImage]]) -> Iterator[FoundInImage]:
    """Each image through the network, in order. Raises `ExportError`."""
    found: list[Outputs] = []  # of the areas of one image
    for group, outputs in engine.infer_all(_groups(_inputs(images), engine.most or _MOST)):
        for (index, image), own in zip(group, split_outputs(outputs, len(group)), strict=True):
            if not image.areas:
                yield FoundInImage(index, image, own)
                continue
            found.append(own)
            if len(found) == len(image.areas):
                yield FoundInImage(index, image, found[0], tuple(found))
                found = []


def split_outputs(outputs: Outputs, count: int) -> Iterator[Outputs]:
    """What leaves the network for ``count`` images, for each of them: rows by `image` where an image has any number of
    them, else one entry of every output.
    """
    for number in range(count):
        if "image" in outputs:
            own = outputs["image"] == number
            yield {name: values[own] for name, values in outputs.items() if name != "image"}
        else:
            yield {name: values[number] for name, values in outputs.items()}


def _inputs(images: Iterable[tuple[int, ReadImage]]) -> Iterator[tuple[int, ReadImage, Pixels]]:
    """Each image with the pixels of its areas in turn, or with all."""
    for index, image in images:
        for area in image.areas or (...,):
            yield index, image, image.pixels[area]


def _groups(
    inputs: Iterable[tuple[int, ReadImage, Pixels]], most: int
) -> Iterator[tuple[list[tuple[int, ReadImage]], Pixels]]:
    """Images of one size, ``most`` of them at most, and their pixels (N, H, W, C)."""
    group: list[tuple[int, ReadImage]] = []
    pixels: list[Pixels] = []
    for index, image, given in inputs:
        height, width, _ = given.shape
        full = len(group) == most or (len(group) + 1) * height * width > _PIXELS_AT_ONCE
        if group and (full or given.shape != pixels[0].shape):
            yield group, np.stack(pixels)
            group, pixels = [], []
        group.append((index, image))
        pixels.append(given)
    if group:
        yield group, np.stack(pixels)
