"""An image of any size restored: in tiles where it is large, so that none can be told from the whole.

Each tile goes through the network with as much around it as the receptive field needs, which is cut off again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.metrics.image_quality import gray_levels
from convolve.runtime import Runtime
from convolve.summary import receptive_fields
from convolve.tasks.restore.degradation import enlarge, to_pixels
from convolve.training.evaluation import evaluation_mode
from convolve.values import Floats, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore

TILE = 384
"""Pixels of a tile's side, of what goes into the network, without what is around it."""


def restore_image(image: Pixels, task: Restore, runtime: Runtime, tile: int = TILE) -> Pixels:
    """(H, W, 1 or 3) to (upscale H, upscale W, 1 or 3), in 8 bits. A network of one channel restores the luminance; the
    colors are enlarged by bicubic interpolation, or stay.
    """
    if task.is_gray:
        image = to_channels(image, 1)
    if len(task.mean) > 1 or image.shape[2] == 1:
        return to_pixels(_restore(to_channels(image, len(task.mean)).astype(np.float32), task, runtime, tile))
    restored = _restore(to_channels(image, 1).astype(np.float32), task, runtime, tile)
    factor = task.degradation.upscale
    colors = enlarge(image, factor) if factor > 1 else image.astype(np.float32)
    return to_pixels(colors - gray_levels(colors) + restored)


def _restore(image: Floats, task: Restore, runtime: Runtime, tile: int) -> Floats:
    """(H, W, C) with values from 0 to 255 to (upscale H, upscale W, C)."""
    if task.enlarges_before:
        image = enlarge(image, task.degradation.upscale)
    factor = task.network.card.upscale
    mean, std = (np.array(each, np.float32) for each in (task.mean, task.std))
    normalized = (image / 255 - mean) / std
    restored = np.empty((image.shape[0] * factor, image.shape[1] * factor, image.shape[2]), np.float32)
    margin = _margin(task)
    with evaluation_mode(task.network):
        for rows, (top, bottom) in _parts(image.shape[0], tile, margin):
            for columns, (left, right) in _parts(image.shape[1], tile, margin):
                part = runtime.images(np.ascontiguousarray(normalized[None, top:bottom, left:right]))
                with torch.inference_mode(), runtime.arithmetic():
                    outputs = task.network(part).float()
                    outputs = part + outputs if task.network.card.residual else outputs
                found = outputs[0].permute(1, 2, 0).cpu().numpy()
                down, across = (
                    slice(factor * (own.start - start), factor * (own.stop - start))
                    for own, start in ((rows, top), (columns, left))
                )
                target = (slice(factor * own.start, factor * own.stop) for own in (rows, columns))
                restored[tuple(target)] = found[down, across]
    return (restored * std + mean) * 255


def _margin(task: Restore) -> int:
    """Pixels around a tile that its own pixels are made from."""
    field = receptive_fields(task.network, (len(task.mean), TILE, TILE), ("head",))["head"]
    return math.ceil(max(axis.size for axis in field) / 2) + 1


def _parts(length: int, tile: int, margin: int) -> Iterator[tuple[slice, tuple[int, int]]]:
    """A side in parts of about equal length: each part, and from where to where it is read."""
    count = math.ceil(length / tile)
    ends = [length * number // count for number in range(count + 1)]
    for start, stop in pairwise(ends):
        yield slice(start, stop), (max(0, start - margin), min(length, stop + margin))
