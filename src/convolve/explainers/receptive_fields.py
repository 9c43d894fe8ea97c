"""What a unit of a stage sees of the image: in theory, and in effect.

The theoretical field follows from the windows of the layers. The effective one (Luo, Li, Urtasun, Zemel 2016,
"Understanding the effective receptive field in deep convolutional neural networks", section 2) is where the unit's
slope by the image is not small: it falls off toward its borders, and is smaller than the theoretical one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.feature_maps import map_of
from convolve.explainers.untouched import untouched
from convolve.layers.geometry import ReceptiveField
from convolve.models import Network
from convolve.summary import receptive_fields
from convolve.values import Floats, Indices

EDGE = 1 - 0.9545
"""Share of the steepest pixel's slope below which a pixel lies outside the effective field (section 3.1: the part of a
Gaussian within two deviations)."""


@dataclass(frozen=True)
class Seen:
    """What one unit sees: ``place`` its row and column in the map of the ``stage``.

    Boxes are (4,) left, top, right, bottom in pixels of the input. ``theoretical`` may reach beyond the image into the
    padding; ``effective`` is around every pixel of ``slopes`` (H, W), which go from 0 to 1, that is `EDGE` or more.
    """

    stage: str
    place: tuple[int, int]
    theoretical: Indices
    effective: Indices
    slopes: Floats


def boxes_of(network: Network, input: tuple[int, int, int], stage: str, places: Indices) -> Indices:  # noqa: A002
    """(..., 4) left, top, right, bottom of what the units at rows and columns (..., 2) of a stage's map see.

    ``input`` is (channels, height, width).
    """
    name = f"stages.{stage}"
    down, across = receptive_fields(network, input, [name])[name]
    top, bottom = _span(down, places[..., 0], input[1])
    left, right = _span(across, places[..., 1], input[2])
    return np.stack([left, top, right, bottom], -1).astype(np.int64)


def seen(network: Network, images: Tensor, stage: str, place: tuple[int, int] | None = None) -> Seen:
    """The field of the units at a place of a stage's map, by default its middle.

    Slopes are those of all channels' sum at that place, by size, summed over the image's channels, the mean over the
    ``images`` (N, C, H, W); divided by the steepest.
    """
    with untouched(network), torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        maps = map_of(network, inputs, stage)
        row, column = place or (maps.shape[2] // 2, maps.shape[3] // 2)
        (slopes,) = torch.autograd.grad(maps[:, :, row, column].sum(), inputs)
    steep = slopes.abs().sum(1).mean(0).double().cpu().numpy()
    shares = (steep / max(steep.max(), np.finfo(np.float64).tiny)).astype(np.float32)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    box = boxes_of(network, shape, stage, np.array([row, column]))
    return Seen(stage, (row, column), box, box_around(shares >= EDGE), shares)


def box_around(inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Indices:
    """(4,) left, top, right, bottom of the smallest box around every True of (H, W); all 0 where none is."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return np.zeros(4, np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.int64)


def _span(field: ReceptiveField, units: Indices, side: int) -> tuple[Indices, Indices]:
    """Where what each unit sees begins and ends.

    Where the first unit sees the image to its end, every unit sees it from its beginning: fields are symmetric, and
    gates made of the whole map, as squeeze-and-excitation has them, are the same for all units.
    """
    start = field.offset + units * field.stride
    end = start + field.size
    return (np.minimum(start, 0) if field.offset + field.size >= side else start), end
