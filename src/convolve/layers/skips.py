"""Skips: scores of coarse maps, upsampled and added to those of finer ones.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", section 3.3 (upsampling, which
starts as bilinear interpolation; the authors' file `surgery.py` fills the kernels so), section 4.2 and figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, final

import torch
from torch import Tensor, nn


class SkipMap(NamedTuple):
    """A map that is scored: its channels, its stride and its first unit's center, in pixels of the image, and the
    factor by which its values are multiplied.
    """

    channels: int
    stride: int
    center: float
    scale: float = 1.0


def bilinear_upsampling(channels: int, kernel: int, stride: int, *, learned: bool) -> nn.ConvTranspose2d:
    """A transposed convolution of all channels with all, without bias, that interpolates each channel by itself.

    (N, channels, H, W) maps give (N, channels, stride * (H - 1) + kernel, stride * (W - 1) + kernel). Unless it is
    ``learned`` its kernel requires no gradient.
    """
    layer = nn.ConvTranspose2d(channels, channels, kernel, stride, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        diagonal = torch.arange(channels)
        layer.weight[diagonal, diagonal] = bilinear_kernel(kernel).to(layer.weight)
    layer.weight.requires_grad_(learned)
    return layer


def bilinear_kernel(side: int) -> Tensor:
    """(side, side) the kernel for the stride (side + 1) // 2: weights fall linearly from the center."""
    factor = (side + 1) // 2
    center = factor - 1 if side % 2 else factor - 0.5
    tent = 1 - (torch.arange(side) - center).abs() / factor
    return tent[:, None] * tent


@final
class Skips(nn.Module):
    """The scores of all maps, coarse ones upsampled onto finer ones, and their sum upsampled onto the image.

    [(N, channels, H/stride, W/stride), …] from fine to coarse and (H, W) give (N, classes, H, W). Layers have the names
    of ``maps``, so that the weights of networks with fewer maps fit those with more. Upsampling starts as bilinear
    interpolation; between maps it is ``learned``, onto the image never (footnote 2). Its kernel is twice the factor,
    or for the image ``image_kernel`` if given. Scores start at zero. ``starts`` are the crops, by the map that is
    upsampled: the unit of the finer map, or the pixel of the image, at which the upsampled map begins.
    """

    def __init__(
        self, classes: int, maps: Mapping[str, SkipMap], image_kernel: int | None = None, *, learned: bool
    ) -> None:
        super().__init__()
        self.scales = [source.scale for source in maps.values()]
        self.scores = nn.ModuleDict({name: nn.Conv2d(source.channels, classes, 1) for name, source in maps.items()})
        for value in self.scores.parameters():
            nn.init.zeros_(value)
        strides = [1, *(source.stride for source in maps.values())]
        factors = [coarse // fine for fine, coarse in pairwise(strides)]
        kernels = [2 * factor if factor > 1 else 1 for factor in factors]
        kernels[0] = image_kernel or kernels[0]
        self.enlarge = nn.ModuleDict(
            {
                name: bilinear_upsampling(classes, kernel, factor, learned=learned and index > 0)
                if factor > 1
                else nn.Identity()
                for index, (name, kernel, factor) in enumerate(zip(maps, kernels, factors, strict=True))
            }
        )
        self.starts = _starts(maps, dict(zip(maps, kernels, strict=True)))

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The maps, fine to coarse, and the image's (height, width) to the scores of all pixels."""
        scores = {
            name: score(map_ if scale == 1 else map_ * scale)
            for (name, score), map_, scale in zip(self.scores.items(), maps, self.scales, strict=True)
        }
        coarse, total = scores.popitem()
        while scores:
            finer, fine = scores.popitem()
            total = _add_overlap(self.enlarge[coarse](total), fine, self.starts[coarse])
            coarse = finer
        return _crop(self.enlarge[coarse](total), -self.starts[coarse], *size)


def _starts(maps: Mapping[str, SkipMap], kernels: Mapping[str, int]) -> dict[str, int]:
    """Where upsampled maps begin on the finer ones. Their overlap begins at the later of the two, and is upsampled."""
    starts: dict[str, int] = {}
    names = list(maps)[::-1]
    center = maps[names[0]].center
    for name, finer in zip(names, [*(maps[name] for name in names[1:]), SkipMap(0, 1, 0.0)], strict=True):
        starts[name] = round((center - finer.center) / finer.stride - (kernels[name] - 1) / 2 + 1e-9)
        center = finer.center + max(0, starts[name]) * finer.stride
    return starts


def _add_overlap(large: Tensor, fine: Tensor, start: int) -> Tensor:
    """The sum of two maps where they overlap; ``large`` begins at unit ``start`` of ``fine``."""
    rows, columns = (
        min(length - max(0, -start), units - max(0, start))
        for length, units in zip(large.shape[2:], fine.shape[2:], strict=True)
    )
    return _crop(large, max(0, -start), rows, columns) + _crop(fine, max(0, start), rows, columns)


def _crop(map_: Tensor, start: int, rows: int, columns: int) -> Tensor:
    return map_[:, :, start : start + rows, start : start + columns]
