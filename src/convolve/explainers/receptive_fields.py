"""The receptive field of a unit of a stage: in theory, and in effect.

The theoretical field follows from the kernels of the layers. The effective one (Luo, Li, Urtasun, Zemel 2016,
"Understanding the effective receptive field in deep convolutional neural networks", section 2) is where the unit's
gradient with respect to the image is not small: it falls off toward its borders, and is smaller than the theoretical
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.explainers.feature_maps import stage_maps
from convolve.explainers.preservation import preserve
from convolve.layers.geometry import ReceptiveField
from convolve.models import Network
from convolve.summary import receptive_fields
from convolve.values import Flags, Floats, Indices

EDGE = 1 - 0.9545
"""Fraction of the largest gradient below which a pixel lies outside the effective field (section 3.1: the part of a
Gaussian within two standard deviations)."""


@dataclass(frozen=True)
class UnitField:
    """The receptive field of one unit; ``position`` is its row and column in the map of the ``stage``.

    Boxes are (4,) left, top, right, bottom in pixels of the input. ``theoretical`` may reach beyond the image into the
    padding; ``effective`` is around each pixel of ``gradients`` (H, W), which go from 0 to 1, that is `EDGE` or more.
    """

    stage: str
    position: tuple[int, int]
    theoretical: Indices
    effective: Indices
    gradients: Floats


def field_boxes(network: Network, input: tuple[int, int, int], stage: str, positions: Indices) -> Indices:  # noqa: A002
    """(..., 4) left, top, right, bottom of the theoretical fields of the units at rows and columns (..., 2) of a
    stage's map. ``input`` is (channels, height, width).
    """
    name = f"stages.{stage}"
    down, across = receptive_fields(network, input, [name])[name]
    top, bottom = _span(down, positions[..., 0], input[1])
    left, right = _span(across, positions[..., 1], input[2])
    return np.stack([left, top, right, bottom], -1).astype(np.int64)


def unit_field(network: Network, images: Tensor, stage: str, position: tuple[int, int] | None = None) -> UnitField:
    """The field of the units at a position of a stage's map, by default its center.

    Gradients are those of all channels' sum at that position: magnitudes, summed over the image's channels, the mean
    over the ``images`` (N, C, H, W), divided by the largest.
    """
    with preserve(network), torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()
        maps = stage_maps(network, inputs, stage)
        row, column = position or (maps.shape[2] // 2, maps.shape[3] // 2)
        (gradients,) = torch.autograd.grad(maps[:, :, row, column].sum(), inputs)
    magnitudes = gradients.abs().sum(1).mean(0).double().cpu().numpy()
    fractions = (magnitudes / max(magnitudes.max(), np.finfo(np.float64).tiny)).astype(np.float32)
    shape = (images.shape[1], images.shape[2], images.shape[3])
    box = field_boxes(network, shape, stage, np.array([row, column]))
    return UnitField(stage, (row, column), box, bounding_box(fractions >= EDGE), fractions)


def bounding_box(inside: Flags) -> Indices:
    """(4,) left, top, right, bottom of the smallest box around each True of (H, W); all 0 where none is."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if not len(rows):
        return np.zeros(4, np.int64)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.int64)


def _span(field: ReceptiveField, units: Indices, side: int) -> tuple[Indices, Indices]:
    """Where the field of each unit begins and ends.

    Where the first unit's field reaches the end of the image, each unit's begins with the image: fields are symmetric,
    and gates made of the whole map, as squeeze-and-excitation has them, are the same for all units.
    """
    size, stride, offset = map(float, field)
    start = np.floor(offset + units * stride).astype(np.int64)
    end = np.ceil(offset + units * stride + size).astype(np.int64)
    return (np.minimum(start, 0) if offset + size >= side else start), end
