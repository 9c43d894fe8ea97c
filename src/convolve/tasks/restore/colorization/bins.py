"""Colors as classes: bins of the ab plane, and what lies between colors and them.

Zhang, Isola, Efros 2016, "Colorful image colorization", section 2. The paper has 313 bins, from a file of its authors,
and gives no rule for them. Here a bin is a point of the grid that is the nearest one of any sRGB color: 261 bins. Of
these, 225 are themselves the ab of a color.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.errors import DataError, ImageError
from convolve.tasks.restore.colorization.lab import rgb_to_lab
from convolve.values import Floats, Images, Indices

GRID = 10
"""Between neighboring bins, in units of a and b."""
NEIGHBORS, SIGMA = 5, 5.0
"""A color is encoded by so many bins, with a Gaussian's weights (section 2.2)."""
TEMPERATURE = 0.38
"""Of the annealed mean (section 2.3)."""
UNIFORM = 0.5
"""Lambda of the rebalancing: how much of a uniform distribution is mixed in (equation 4)."""
_READ, _SIDE = 500, 64
"""Of how many training images, evenly spread, the colors are counted, and their shorter side in pixels."""
_COLORLESS = 2.0
"""Chroma that pixels must have more of on average; a gray image that was stored as JPEG has less."""


@lru_cache(maxsize=1)
def color_bins() -> Floats:
    """(261, 2) the bins' a and b, in order."""
    levels = torch.linspace(0, 1, 256)
    first, second = torch.meshgrid(levels, levels, indexing="ij")
    faces = [  # every color of the cube has the ab of one on its surface
        torch.stack([(first, second, torch.full_like(first, end))[(channel + shift) % 3] for shift in range(3)])
        for channel in range(3)
        for end in (0.0, 1.0)
    ]
    found = torch.round(rgb_to_lab(torch.stack(faces))[:, 1:] / GRID).permute(0, 2, 3, 1).reshape(-1, 2)
    return np.asarray(torch.unique(found, dim=0).numpy() * GRID, np.float32)


def encode(ab: Tensor) -> Tensor:
    """(N, 2, H, W) to (N, 261, H, W) probabilities: the nearest bins, weighted by their distance."""
    bins = torch.from_numpy(color_bins()).to(ab)
    points = ab.permute(0, 2, 3, 1)
    distances, nearest = torch.cdist(points.reshape(-1, 2), bins).topk(NEIGHBORS, largest=False)
    weights = torch.softmax(-(distances**2) / (2 * SIGMA**2), 1)
    encoded = torch.zeros(len(distances), len(bins), device=ab.device, dtype=ab.dtype).scatter(1, nearest, weights)
    return encoded.reshape(*points.shape[:3], -1).permute(0, 3, 1, 2)


def annealed_mean(scores: Tensor) -> Tensor:
    """(N, 261, H, W) scores to (N, 2, H, W): between the mode and the mean of the distribution (equation 5)."""
    bins = torch.from_numpy(color_bins()).to(scores)
    return torch.einsum("qc,nqhw->nchw", bins, torch.softmax(scores / TEMPERATURE, 1))


def nearest_bins(ab: Floats) -> Indices:
    """(…, 2) colors to (…) the indices of their nearest bins."""
    distances = torch.cdist(torch.from_numpy(ab.reshape(-1, 2)), torch.from_numpy(color_bins()))
    return np.asarray(distances.argmin(1).numpy().reshape(ab.shape[:-1]))


def smooth(counts: Floats) -> Floats:
    """(261,) how often each bin occurs, to probabilities that are smoothed by a Gaussian (section 2.2)."""
    bins = color_bins()
    distances = np.square(bins[:, None] - bins).sum(2)
    kernel = np.exp(-distances / (2 * SIGMA**2))
    smoothed = kernel / kernel.sum(0) @ (counts / counts.sum())
    return np.asarray(smoothed, np.float32)


def rebalancing_weights(probabilities: Floats) -> Floats:
    """(261,) weights of the loss, whose mean over the pixels is 1 (equation 4)."""
    weights = 1 / ((1 - UNIFORM) * probabilities + UNIFORM / len(probabilities))
    return np.asarray(weights / (probabilities @ weights), np.float32)


def count_colors(images: Images, indices: Indices) -> Floats:
    """(261,) how many pixels of some images are of each bin. Raises `DataError` where the images have no color."""
    counts, chroma = np.zeros(len(color_bins()), np.float32), []
    for index in indices[np.unique(np.linspace(0, len(indices) - 1, _READ).astype(int))].tolist():
        try:
            pixels = to_channels(images.read(index, _SIDE), 3)
        except ImageError:
            continue
        scale = _SIDE / max(min(pixels.shape[:2]), _SIDE)
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        colors = rgb_to_lab(torch.from_numpy(small / np.float32(255)).permute(2, 0, 1)[None])[0, 1:].permute(1, 2, 0)
        found = colors.numpy()
        counts += np.bincount(nearest_bins(found).ravel(), minlength=len(counts)).astype(np.float32)
        chroma.append(float(np.hypot(found[..., 0], found[..., 1]).mean()))
    if not chroma or max(chroma) < _COLORLESS:
        raise DataError("The images to learn from have no color; colorization learns from color images.")
    return counts
