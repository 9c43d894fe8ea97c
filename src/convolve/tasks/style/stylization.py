"""An image of any size in a run's style: in tiles where it is large, so that none can be told from the whole.

Each tile goes through the network with as much around it as the receptive field needs, which is cut off again, and
begins at a multiple of the network's stride.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.runtime import Runtime
from convolve.style_transfer.images import to_pixels
from convolve.summary import receptive_fields
from convolve.tasks.style.instance_statistics import fixed_statistics, measure_statistics
from convolve.training.evaluation import evaluation_mode
from convolve.values import Pixels

if TYPE_CHECKING:
    from convolve.tasks.style.task import Style

TILE = 768
"""Pixels of a tile's side, without what is around it. An image with no longer side is not cut."""
PART, _PARTS = 256, 4
"""Pixels of the sides of parts of an image, and how many of them, down and across, its statistics are of."""


def stylize(image: Pixels, task: Style, runtime: Runtime, tile: int = TILE) -> Pixels:
    """(H, W, 1 or 3) to (H, W, 3)."""
    height, width = image.shape[:2]
    least = task.network.card.minimum
    missing = [(0, max(0, least - side)) for side in (height, width)]
    pixels = np.pad(to_channels(image, 3), (*missing, (0, 0)), "symmetric")
    with evaluation_mode(task.network), torch.inference_mode():
        if max(pixels.shape) <= tile:
            found = _apply(pixels, task, runtime)
        else:
            with runtime.arithmetic():
                statistics = measure_statistics(task.network, _input(_spread(pixels), task, runtime))
            with fixed_statistics(task.network, statistics):
                found = _apply_in_tiles(pixels, task, runtime, tile)
    return found[:height, :width]


def _apply_in_tiles(pixels: Pixels, task: Style, runtime: Runtime, tile: int) -> Pixels:
    stride = max(task.network.strides.values())
    field = receptive_fields(task.network, (3, tile, tile), ("head",))["head"]
    margin = _up(math.ceil(max(axis.size for axis in field) / 2) + 1, stride)
    made = np.empty_like(pixels)
    step = _up(tile, stride)
    for rows, (top, bottom) in _parts(pixels.shape[0], step, margin):
        for columns, (left, right) in _parts(pixels.shape[1], step, margin):
            found = _apply(pixels[top:bottom, left:right], task, runtime)
            down, across = (slice(own.start - start, own.stop - start) for own, start in ((rows, top), (columns, left)))
            made[rows, columns] = found[down, across]
    return made


def _apply(pixels: Pixels, task: Style, runtime: Runtime) -> Pixels:
    with runtime.arithmetic():
        outputs: Tensor = task.network(_input(pixels[None], task, runtime))
    return to_pixels(outputs[0].float())


def _spread(pixels: Pixels) -> Pixels:
    """(H, W, 3) to (N, h, w, 3) some parts of the image, evenly spread."""
    sides = [min(PART, side) for side in pixels.shape[:2]]
    rows, columns = (
        np.unique(np.linspace(0, side - own, _PARTS).astype(int))
        for side, own in zip(pixels.shape[:2], sides, strict=True)
    )
    return np.stack([pixels[row : row + sides[0], column : column + sides[1]] for row in rows for column in columns])


def _input(pixels: Pixels, task: Style, runtime: Runtime) -> Tensor:
    mean, std = (np.array(each, np.float32) for each in (task.mean, task.std))
    normalized = (pixels.astype(np.float32) / 255 - mean) / std
    return runtime.images(np.ascontiguousarray(normalized, np.float32))


def _parts(length: int, step: int, margin: int) -> Iterator[tuple[slice, tuple[int, int]]]:
    """A side in parts: each part, and from where to where it is read. What would be less than the margin joins the part
    before.
    """
    begins = range(0, max(length - margin, 1), step)
    for begin in begins:
        end = length if begin == begins[-1] else begin + step
        yield slice(begin, end), (max(0, begin - margin), min(length, end + margin))


def _up(length: int, step: int) -> int:
    """The least multiple of ``step`` that is not shorter."""
    return -(-length // step) * step
