"""An image of any size in a run's style: in tiles where it is large, so that none can be told from the whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.style_transfer.images import to_pixels
from convolve.summary import receptive_fields
from convolve.tasks.style.instance_statistics import fixed_statistics, measure_statistics
from convolve.tasks.style.tiles import TILE, cut, join, reflect, round_up
from convolve.training.evaluation import evaluation_mode
from convolve.values import Pixels

if TYPE_CHECKING:
    from convolve.tasks.style.task import Style

PART, _PARTS = 256, 4
"""Pixels of the sides of parts of an image, and how many of them, down and across, its statistics are of."""


def stylize(image: Pixels, task: Style, runtime: Runtime, tile: int = TILE) -> Pixels:
    """(H, W, 1 or 3) to (H, W, 3)."""
    height, width = image.shape[:2]
    pixels = reflect(to_channels(image, 3), task.network.card.minimum)
    with evaluation_mode(task.network), torch.inference_mode():
        if max(pixels.shape) <= tile:
            found = _apply(pixels, task, runtime)
        else:
            with runtime.arithmetic():
                statistics = measure_statistics(task.network, _input(_spread(pixels), task, runtime))
            with fixed_statistics(task.network, statistics):
                found = _apply_in_tiles(pixels, task, runtime, tile)
    return found[:height, :width]


def margin_around(network: Network, tile: int) -> int:
    """The pixels around a tile that its own depend on."""
    field = receptive_fields(network, (3, tile, tile), ("head",))["head"]
    return round_up(math.ceil(max(axis.size for axis in field) / 2) + 1, stride_of(network))


def stride_of(network: Network) -> int:
    """Of the smallest map, in pixels of the image."""
    return max(network.strides.values())


def _apply_in_tiles(pixels: Pixels, task: Style, runtime: Runtime, tile: int) -> Pixels:
    network = task.network
    tiles = cut((pixels.shape[0], pixels.shape[1]), tile, stride_of(network), margin_around(network, tile))
    return join(tiles, (_apply(pixels[one.read], task, runtime) for one in tiles))


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
