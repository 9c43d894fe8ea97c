"""Skips: scores of coarse maps, enlarged and added to those of finer ones.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", section 4.2 and figure 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, final

from torch import Tensor, nn

from convolve.layers.bilinear import bilinear_upsampling


class Read(NamedTuple):
    """A map that is read: its channels, its stride and its first unit's center, in pixels of the image, and the number
    that its values are multiplied by.
    """

    channels: int
    stride: int
    center: float
    scale: float = 1.0


@final
class Skips(nn.Module):
    """Scores of every map, the coarse ones enlarged onto the finer ones, at last onto the image.

    [(N, channels, H/stride, W/stride), …] from fine to coarse and (H, W) give (N, classes, H, W). Layers bear the names
    of ``maps``, so that coarser networks' weights fit finer ones. Enlarging starts as bilinear interpolation; between
    maps it is ``learned``, onto the image never (footnote 2). Its kernel is twice the factor, for the image ``widest``
    if given. Scores start at zero. ``starts`` are the crops, by the map that is enlarged: the unit of the finer map, or
    pixel of the image, at which the enlarged one begins.
    """

    def __init__(self, classes: int, maps: Mapping[str, Read], widest: int | None = None, *, learned: bool) -> None:
        super().__init__()
        self.scales = [read.scale for read in maps.values()]
        self.scores = nn.ModuleDict({name: nn.Conv2d(read.channels, classes, 1) for name, read in maps.items()})
        for value in self.scores.parameters():
            nn.init.zeros_(value)
        strides = [1, *(read.stride for read in maps.values())]
        factors = [coarse // fine for fine, coarse in pairwise(strides)]
        kernels = [2 * factor if factor > 1 else 1 for factor in factors]
        kernels[0] = widest or kernels[0]
        self.enlarge = nn.ModuleDict(
            {
                name: bilinear_upsampling(classes, kernel, factor, learned=learned and place > 0)
                if factor > 1
                else nn.Identity()
                for place, (name, kernel, factor) in enumerate(zip(maps, kernels, factors, strict=True))
            }
        )
        self.starts = _starts(maps, dict(zip(maps, kernels, strict=True)))

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The maps, fine to coarse, and the image's (height, width) to every pixel's scores."""
        scored = {
            name: score(read if scale == 1 else read * scale)
            for (name, score), read, scale in zip(self.scores.items(), maps, self.scales, strict=True)
        }
        coarse, found = scored.popitem()
        while scored:
            finer, fine = scored.popitem()
            found = _added(self.enlarge[coarse](found), fine, self.starts[coarse])
            coarse = finer
        return _cut(self.enlarge[coarse](found), -self.starts[coarse], *size)


def _starts(maps: Mapping[str, Read], kernels: Mapping[str, int]) -> dict[str, int]:
    """Where enlarged maps begin on the finer ones. What both cover begins with the later; enlarging goes on there."""
    found: dict[str, int] = {}
    names = list(maps)[::-1]
    center = maps[names[0]].center
    for name, finer in zip(names, [*(maps[name] for name in names[1:]), Read(0, 1, 0.0)], strict=True):
        found[name] = round((center - finer.center) / finer.stride - (kernels[name] - 1) / 2 + 1e-9)
        center = finer.center + max(0, found[name]) * finer.stride
    return found


def _added(large: Tensor, fine: Tensor, start: int) -> Tensor:
    """The sum where both are; ``large`` begins at unit ``start`` of ``fine``."""
    rows, columns = (
        min(have - max(0, -start), units - max(0, start))
        for have, units in zip(large.shape[2:], fine.shape[2:], strict=True)
    )
    return _cut(large, max(0, -start), rows, columns) + _cut(fine, max(0, start), rows, columns)


def _cut(map_: Tensor, start: int, rows: int, columns: int) -> Tensor:
    return map_[:, :, start : start + rows, start : start + columns]
