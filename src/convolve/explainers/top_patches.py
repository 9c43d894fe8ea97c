"""The patches of a dataset that activate the units of a stage most.

Zeiler, Fergus 2014, "Visualizing and understanding convolutional networks", figure 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convolve.errors import DataError
from convolve.explainers.feature_maps import stage_maps
from convolve.explainers.preservation import preserve
from convolve.explainers.receptive_fields import field_boxes
from convolve.models import Network
from convolve.values import Floats, Indices


@dataclass(frozen=True)
class TopPatches:
    """The k images that activate each of U units most, the strongest first.

    ``units`` (U,) are channels of the ``stage``; ``values`` (U, k) the units' greatest values in those images;
    ``indices`` (U, k) the images' indices in the dataset; ``positions`` (U, k, 2) row and column of the greatest value
    in the map; ``boxes`` (U, k, 4) left, top, right, bottom of the unit's receptive field there, in pixels of the
    network's input, beyond its borders too; ``images`` the inputs (C, H, W) by index.
    """

    stage: str
    units: Indices
    values: Floats
    indices: Indices
    positions: Indices
    boxes: Indices
    images: dict[int, Floats]


def top_patches(
    network: Network, batches: Iterable[tuple[Tensor, Indices]], stage: str, units: Indices, count: int = 9
) -> TopPatches:
    """Search ``batches`` of network inputs (N, C, H, W) with their indices (N,) for the best of each unit.

    An image counts once for a unit, at the position where it activates it most; of equal values, the first counts. No
    more images are held than a batch and ``len(units) * count``. Raises `DataError` for fewer images than ``count``.
    """
    channels = torch.from_numpy(units)
    values = torch.full((len(units), count), -torch.inf)
    found = torch.full((len(units), count, 3), -1)  # index of the image, row and column
    images: dict[int, Floats] = {}
    with preserve(network), torch.inference_mode():
        for batch, indices in batches:
            maps = stage_maps(network, batch, stage)[:, channels.to(batch.device)].float().cpu()
            own_values, own_found = _greatest(maps, indices)
            values, found = torch.cat([values, own_values], 1), torch.cat([found, own_found], 1)
            order = values.argsort(stable=True, dim=1, descending=True)[:, :count]
            values = torch.take_along_dim(values, order, 1)
            found = torch.take_along_dim(found, order[..., None], 1)
            known = images | dict(zip(indices.tolist(), batch.float().cpu().numpy(), strict=True))
            images = {index: known[index] for index in np.unique(found[..., 0].numpy()).tolist() if index >= 0}
    if (found[..., 0] < 0).any():
        raise DataError(f"There are fewer than {count} images to choose patches from; ask for fewer or give more data.")
    positions, shape = found[..., 1:].numpy(), next(iter(images.values())).shape
    boxes = field_boxes(network, (shape[0], shape[1], shape[2]), stage, positions)
    copies = {index: image.copy() for index, image in images.items()}
    return TopPatches(stage, units, values.numpy(), found[..., 0].numpy(), positions, boxes, copies)


def sample_channels(channels: int, count: int, seed: int = 0) -> Indices:
    """(at most ``count``,) different channels in order, drawn by the seed, as the paper draws its own."""
    drawn = np.random.default_rng(seed).permutation(channels)[:count]
    return np.sort(drawn).astype(np.int64)


def crop_box(image: Floats, box: Indices, fill: float = 0.0) -> Floats:
    """(C, h, w) what lies in a box of an image (C, H, W), and ``fill`` beyond the image.

    Along a side where the box is longer than the image, it is the whole image.
    """
    left, top, right, bottom = box.tolist()
    spans = [_span(top, bottom, image.shape[1]), _span(left, right, image.shape[2])]
    patch = np.full((len(image), *(end - start for start, end in spans)), fill, np.float32)
    inside = [slice(max(start, 0), min(end, side)) for (start, end), side in zip(spans, image.shape[1:], strict=True)]
    target = [slice(part.start - start, part.stop - start) for part, (start, _) in zip(inside, spans, strict=True)]
    patch[:, target[0], target[1]] = image[:, inside[0], inside[1]]
    return patch


def _span(start: int, end: int, side: int) -> tuple[int, int]:
    return (0, side) if end - start > side else (start, end)


def _greatest(maps: Tensor, indices: Indices) -> tuple[Tensor, Tensor]:
    """Of maps (N, U, h, w), each unit's greatest values (U, N), and image index, row and column (U, N, 3)."""
    values, flat = maps.flatten(2).max(2)
    positions = torch.stack([flat // maps.shape[3], flat % maps.shape[3]], -1)
    images = torch.from_numpy(indices)[:, None, None].expand(*flat.shape, 1)
    return values.T, torch.cat([images, positions], -1).transpose(0, 1)
