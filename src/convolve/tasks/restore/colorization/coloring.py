"""An image of any size in color: its lightness stays as it is, and the network sees it small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from convolve.datasets.images import to_channels
from convolve.runtime import Runtime
from convolve.tasks.restore.colorization.lab import lab_to_rgb, rgb_to_lab
from convolve.training.evaluation import evaluation_mode
from convolve.values import Floats, Pixels

if TYPE_CHECKING:
    from convolve.tasks.restore.colorization.task import Colorize

_STRIDE = 8
"""Of the sides of what the network sees, so that its maps cover it exactly."""


def to_lab(image: Pixels) -> Floats:
    """(H, W, 1 or 3) to (H, W, 3)."""
    scaled = torch.from_numpy(to_channels(image, 3) / np.float32(255)).permute(2, 0, 1)
    return np.asarray(rgb_to_lab(scaled[None])[0].permute(1, 2, 0).numpy())


def from_lab(lab: Floats) -> Pixels:
    """(H, W, 3) to (H, W, 3) RGB."""
    rgb = lab_to_rgb(torch.from_numpy(lab).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    return np.asarray((rgb * 255).round().to(torch.uint8).numpy())


def colorize(image: Pixels, task: Colorize, side: int, runtime: Runtime) -> Pixels:
    """(H, W, 1 or 3) to (H, W, 3): the network sees it with a shorter side of ``side`` pixels, where it is larger."""
    lab = to_lab(image)
    height, width = lab.shape[:2]
    scale = side / max(min(height, width), side)
    small = [max(_STRIDE, round(each * scale / _STRIDE) * _STRIDE) for each in (height, width)]
    lightness = cv2.resize(lab[..., 0], (small[1], small[0]), interpolation=cv2.INTER_AREA)
    inputs = (lightness[..., None] / 100 - np.array(task.mean, np.float32)) / np.array(task.std, np.float32)
    with evaluation_mode(task.network), torch.inference_mode(), runtime.arithmetic():
        outputs = task.network(runtime.images(np.ascontiguousarray(inputs[None], np.float32)))
    ab = task.colors(outputs)[0].permute(1, 2, 0).cpu().numpy()
    large = cv2.resize(np.ascontiguousarray(ab), (width, height), interpolation=cv2.INTER_LINEAR)
    return from_lab(np.concatenate([lab[..., :1], large], 2))


def without_color(image: Pixels) -> Pixels:
    """(H, W, 1 or 3) to (H, W, 3), gray, of the same lightness."""
    lab = to_lab(image)
    lab[..., 1:] = 0
    return from_lab(lab)
