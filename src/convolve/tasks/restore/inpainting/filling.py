"""An image of any size with its hole filled: known pixels stay as they are.

A large image is filled in overlapping tiles that contain a part of the hole; where they overlap, each counts the less,
the nearer its edge is, so that no tile begins with a seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.runtime import Runtime
from convolve.tasks.restore.degradation import to_pixels
from convolve.training.evaluation import evaluation_mode
from convolve.values import Flags, Floats, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.inpainting.task import Inpaint

TILE, OVERLAP = 768, 256
"""Pixels of a tile's side, and of what neighboring tiles have in common at least."""


def fill_hole(image: Pixels, hole: Flags, task: Inpaint, runtime: Runtime, tile: int = TILE) -> Pixels:
    """(H, W, 1 or 3) with a hole (H, W) to the filled image (H, W, 3), or (H, W, 1) of a network for gray images.

    Raises `ImageError` where nothing is known as far as a tile goes.
    """
    image = to_channels(image, len(task.mean))
    mean, std = (np.array(each, np.float32) for each in (task.mean, task.std))
    normalized = np.where(hole[..., None], np.float32(np.nan), (image / np.float32(255) - mean) / std)
    total, weights = np.zeros(image.shape, np.float32), np.zeros((*image.shape[:2], 1), np.float32)
    overlap = min(OVERLAP, tile // 2)
    with evaluation_mode(task.network):
        for rows in _parts(image.shape[0], tile, overlap):
            for columns in _parts(image.shape[1], tile, overlap):
                part = normalized[rows, columns]
                if not hole[rows, columns].any() or hole[rows, columns].all():
                    continue
                with torch.inference_mode(), runtime.arithmetic():
                    outputs = task.network(runtime.images(np.ascontiguousarray(part[None]))).float()
                weight = _weight(part.shape[0])[:, None, None] * _weight(part.shape[1])[:, None]
                total[rows, columns] += weight * outputs[0].permute(1, 2, 0).cpu().numpy()
                weights[rows, columns] += weight
    if not weights[hole].all():
        raise ImageError(f"The hole is larger than {tile} pixels, or all of the image; make the image smaller.")
    restored = total / np.maximum(weights, np.finfo(np.float32).tiny) * std + mean
    return np.where(hole[..., None], to_pixels(restored * 255), image)


def _parts(length: int, tile: int, overlap: int) -> Iterator[slice]:
    """Parts of a side that overlap, the last one moved inwards so that it ends with the side."""
    last = max(length - tile, 0)
    for start in [*range(0, last, tile - overlap), last]:
        yield slice(start, min(start + tile, length))


def _weight(length: int) -> Floats:
    """(length,) from near 0 at the ends to 1 in the middle."""
    positions = np.arange(length)
    return np.minimum(positions + 1, length - positions).astype(np.float32) / np.float32((length + 1) // 2)
