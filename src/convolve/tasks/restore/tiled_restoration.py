"""An image of any size restored: in tiles where it is large, so that none can be told from the whole.

Each tile goes through the network with as much around it as the receptive field needs, which is cut off again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.runtime import Runtime
from convolve.summary import receptive_fields
from convolve.tasks.restore.degradation import enlarge, to_pixels
from convolve.tasks.restore.tiles import TILE, add_colors, cut, join
from convolve.training.evaluation import evaluation_mode
from convolve.values import Floats, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.task import Restore


def restore_image(image: Pixels, task: Restore, runtime: Runtime, tile: int = TILE) -> Pixels:
    """(H, W, 1 or 3) to (upscale H, upscale W, 1 or 3), in 8 bits. A network of one channel restores the luminance; the
    colors are enlarged by bicubic interpolation, or stay.
    """
    if task.is_gray:
        image = to_channels(image, 1)
    restored = _restore(to_channels(image, len(task.mean)).astype(np.float32), task, runtime, tile)
    if len(task.mean) > 1 or image.shape[2] == 1:
        return to_pixels(restored)
    return add_colors(image, restored, task.degradation.upscale)


def margin_around(task: Restore) -> int:
    """Pixels around a tile of what goes into the network that its own pixels are made from."""
    field = receptive_fields(task.network, (len(task.mean), TILE, TILE), ("head",))["head"]
    return math.ceil(max(axis.size for axis in field) / 2) + 1


def _restore(image: Floats, task: Restore, runtime: Runtime, tile: int) -> Floats:
    """(H, W, C) with values from 0 to 255 to (upscale H, upscale W, C)."""
    if task.enlarges_before:
        image = enlarge(image, task.degradation.upscale)
    mean, std = (np.array(each, np.float32) for each in (task.mean, task.std))
    normalized: Floats = (image / np.float32(255) - mean) / std
    tiles = cut((image.shape[0], image.shape[1]), tile, margin_around(task))
    with evaluation_mode(task.network):
        restored = join(
            tiles, (_run(normalized[each.read], task, runtime) for each in tiles), task.network.card.upscale
        )
    return (restored * std + mean) * 255


def _run(image: Floats, task: Restore, runtime: Runtime) -> Floats:
    """A normalized (H, W, C) through the network."""
    part = runtime.images(np.ascontiguousarray(image[None]))
    with torch.inference_mode(), runtime.arithmetic():
        outputs = task.network(part).float()
        outputs = part + outputs if task.network.card.residual else outputs
    return np.asarray(outputs[0].permute(1, 2, 0).cpu().numpy())
