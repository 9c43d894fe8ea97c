"""The patches of a dataset that excite the units of a stage most.

Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks", figure 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.errors import DataError
from convolve.explainers.feature_maps import map_of
from convolve.explainers.receptive_fields import boxes_of
from convolve.explainers.untouched import untouched
from convolve.models import Network
from convolve.values import Floats, Indices


@dataclass(frozen=True)
class Excitement:
    """The k images that excite each of U units most, the strongest first.

    ``units`` (U,) are channels of the ``stage``; ``values`` (U, k) the units' greatest values in those images;
    ``indices`` (U, k) the images' places in the dataset; ``places`` (U, k, 2) row and column of the greatest value in
    the map; ``boxes`` (U, k, 4) left, top, right, bottom of what the unit sees there, in pixels of the network's
    input, beyond its borders too; ``images`` the inputs (C, H, W) by index.
    """

    stage: str
    units: Indices
    values: Floats
    indices: Indices
    places: Indices
    boxes: Indices
    images: dict[int, Floats]


@dataclass(frozen=True)
class _Best:
    """Rows of units, best first; ``numbers`` (U, k, 3) index, row and column. ``images`` holds those in it alone."""

    values: Tensor
    numbers: Tensor
    images: dict[int, Floats]

    def joined(self, values: Tensor, numbers: Tensor, images: dict[int, Floats]) -> _Best:
        """The best k of these and of other candidates (U, n); of equal values, those met first."""
        count = self.values.shape[1]
        every, where = torch.cat([self.values, values], 1), torch.cat([self.numbers, numbers], 1)
        order = every.argsort(stable=True, dim=1, descending=True)[:, :count]
        best = torch.take_along_dim(where, order[..., None], 1)
        known = self.images | images
        kept = {index: known[index] for index in np.unique(best[..., 0].numpy()).tolist() if index >= 0}
        return _Best(torch.take_along_dim(every, order, 1), best, kept)


def exciting_patches(
    network: Network, batches: Iterable[tuple[Tensor, Indices]], stage: str, units: Indices, count: int = 9
) -> Excitement:
    """Look through ``batches`` of network inputs (N, C, H, W) with their indices (N,) for the best of each unit.

    An image counts once for a unit, at the place where it excites it most. Of the images no more are held than a batch
    and ``len(units) * count``. Raises `DataError` for fewer images than ``count``.
    """
    chosen = torch.from_numpy(units)
    best = _Best(torch.full((len(units), count), -torch.inf), torch.full((len(units), count, 3), -1), {})
    with untouched(network), torch.inference_mode():
        for images, indices in batches:
            maps = map_of(network, images, stage)[:, chosen.to(images.device)].float().cpu()
            inputs = images.float().cpu().numpy()
            held = dict(zip(indices.tolist(), inputs, strict=True))
            best = best.joined(*_greatest(maps, indices), held)
    if (best.numbers[..., 0] < 0).any():
        raise DataError(f"There are fewer than {count} images to choose patches from; ask for fewer or give more data.")
    indices, places = best.numbers[..., 0].numpy(), best.numbers[..., 1:].numpy()
    shape = next(iter(best.images.values())).shape
    boxes = boxes_of(network, (shape[0], shape[1], shape[2]), stage, places)
    held = {index: image.copy() for index, image in best.images.items()}
    return Excitement(stage, units, best.values.numpy(), indices, places, boxes, held)


def some_units(channels: int, count: int, seed: int = 0) -> Indices:
    """(at most ``count``,) different channels in order, drawn by the seed, as the paper draws its own."""
    drawn = np.random.default_rng(seed).permutation(channels)[:count]
    return np.sort(drawn).astype(np.int64)


def cut(image: Floats, box: Indices, beyond: float = 0.0) -> Floats:
    """(C, h, w) what a box shows of an image (C, H, W), and ``beyond`` what lies beyond it.

    Along a side where the box is longer than the image, it is all of the image.
    """
    left, top, right, bottom = box.tolist()
    spans = [_span(top, bottom, image.shape[1]), _span(left, right, image.shape[2])]
    shown = np.full((len(image), *(end - start for start, end in spans)), beyond, np.float32)
    inside = [slice(max(start, 0), min(end, side)) for (start, end), side in zip(spans, image.shape[1:], strict=True)]
    target = [slice(part.start - start, part.stop - start) for part, (start, _) in zip(inside, spans, strict=True)]
    shown[:, target[0], target[1]] = image[:, inside[0], inside[1]]
    return shown


def _span(start: int, end: int, side: int) -> tuple[int, int]:
    return (0, side) if end - start > side else (start, end)


def _greatest(maps: Tensor, indices: Indices) -> tuple[Tensor, Tensor]:
    """Of maps (N, U, h, w), each unit's greatest values (U, N), and index, row and column (U, N, 3)."""
    values, flat = maps.flatten(2).max(2)
    places = torch.stack([flat // maps.shape[3], flat % maps.shape[3]], -1)
    whose = torch.from_numpy(indices)[:, None, None].expand(*flat.shape, 1)
    return values.T, torch.cat([whose, places], -1).transpose(0, 1)
