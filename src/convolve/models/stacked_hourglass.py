"""Stacked hourglass networks.

Newell, Yang, Deng 2016, "Stacked hourglass networks for human pose estimation", figures 1 to 4; the authors'
definition (hg.lua with its defaults: 8 stacks, 1 residual module at each place, 256 channels).

stacked_hourglass at 3x256x256: stage1 64x128x128, stage2 256x64x64
stacked_hourglass_2 at 3x128x192: stage1 64x64x96, stage2 256x32x48

An hourglass halves its map four times, and adds what residual modules make of the map of each size where it comes back
to that size. Each of the stacked hourglasses gives heatmaps of all points, which are learned from (intermediate
supervision); they and its features are added to what entered it, and enter the next one. Heatmaps have a quarter of
the image's side.

Training: RMSprop with a learning rate of 2.5e-4, mean squared error to Gaussians of 1 cell (section 3.1).

Deviations: weights start as He's, where Torch7 draws them uniformly; those of the heatmaps, after which nothing is
normalized, start with a standard deviation of 0.001, as in `models.simple_baseline`, so that heatmaps are nearly 0.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import cast, final

from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.initializers import gaussian, he_normal
from convolve.layers.point_head import PointHead
from convolve.models.network import Card, Network, Stage, Variant

WIDTH = 256
DEPTH = 4
"""How many times an hourglass halves its map."""
MULTIPLE = 4 * 2**DEPTH
_DEVIATION = 0.001  # of the weights of heatmaps at first


@final
class PreactivatedResidual(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1, each after normalization and ReLU; the shortcut is a 1x1 convolution where the
    number of channels changes (figure 4, left).

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers = OrderedDict[str, nn.Module]()
        inner = width // 2
        for number, (before, after, kernel) in enumerate(
            ((channels, inner, 1), (inner, inner, 3), (inner, width, 1)), 1
        ):
            layers[f"norm{number}"] = nn.BatchNorm2d(before)
            layers[f"relu{number}"] = nn.ReLU(inplace=number > 1)
            layers[f"conv{number}"] = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        self.branch = nn.Sequential(layers)
        self.shortcut = nn.Identity() if channels == width else nn.Conv2d(channels, width, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, width, H, W)."""
        merged: Tensor = self.branch(maps) + self.shortcut(maps)
        return merged


@final
class Hourglass(nn.Module):
    """``depth`` times half the size and back, with a residual module at each place (figure 3).

    (N, 256, H, W) give (N, 256, H, W); H and W are multiples of 2**depth.
    """

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.same = PreactivatedResidual(WIDTH, WIDTH)
        self.down = PreactivatedResidual(WIDTH, WIDTH)
        self.inner = Hourglass(depth - 1) if depth > 1 else PreactivatedResidual(WIDTH, WIDTH)
        self.up = PreactivatedResidual(WIDTH, WIDTH)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, 256, H, W) to the same shape."""
        low = self.up(self.inner(self.down(F.max_pool2d(maps, 2))))
        merged: Tensor = self.same(maps) + F.interpolate(low, scale_factor=2.0)
        return merged


@final
class Stacks(nn.Module):
    """Hourglasses one after another, each with its heatmaps: (N, 256, H, W) to a tuple of (N, points, H, W)."""

    def __init__(self, count: int, points: int) -> None:
        super().__init__()
        self.hourglasses = nn.ModuleList(Hourglass(DEPTH) for _ in range(count))
        self.features = nn.ModuleList(nn.Sequential(_features()) for _ in range(count))
        self.heatmaps = nn.ModuleList(nn.Conv2d(WIDTH, points, 1) for _ in range(count))
        self.features_back = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(count - 1))
        self.heatmaps_back = nn.ModuleList(nn.Conv2d(points, WIDTH, 1) for _ in range(count - 1))

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """The last stage's map to the heatmaps of each stack."""
        found: list[Tensor] = []
        for index, hourglass in enumerate(self.hourglasses):
            features = self.features[index](hourglass(maps))
            found.append(self.heatmaps[index](features))
            if index < len(self.features_back):
                maps = maps + self.features_back[index](features) + self.heatmaps_back[index](found[-1])
        return tuple(found)


def _features() -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        residual=PreactivatedResidual(WIDTH, WIDTH),
        conv=nn.Conv2d(WIDTH, WIDTH, 1),
        norm=nn.BatchNorm2d(WIDTH),
        relu=nn.ReLU(inplace=True),
    )


def _build(count: int, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    first = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(channels, 64, 7, 2, padding=3), norm1=nn.BatchNorm2d(64), relu1=nn.ReLU(inplace=True)
    )
    second = OrderedDict[str, nn.Module](
        residual1=PreactivatedResidual(64, 128),
        pool1=nn.MaxPool2d(2, 2),
        residual2=PreactivatedResidual(128, 128),
        residual3=PreactivatedResidual(128, WIDTH),
    )
    stages = {"stage1": Stage(nn.Sequential(first), 64, 2), "stage2": Stage(nn.Sequential(second), WIDTH, 4)}
    stacks = Stacks(count, classes)
    head = PointHead(stacks, MULTIPLE)
    network = Network(card, stages, head, head_inputs=("stage2",)).apply(he_normal)
    for layer in stacks.heatmaps:
        gaussian(cast(nn.Conv2d, layer), _DEVIATION)
    return network


def _variant(name: str, count: int, counts: tuple[int, int]) -> Variant:
    card = Card(
        name=name,
        title="Stacked hourglass networks for human pose estimation",
        authors="Newell, Yang, Deng",
        year=2016,
        venue="ECCV 2016",
        address="https://arxiv.org/abs/1603.06937",
        input=(3, 256, 256),
        classes=16,
        minimum=MULTIPLE,
        multiple=MULTIPLE,
        output="points",
        parameters=counts[0],
        macs=counts[1],
    )
    return Variant(card, partial(_build, count))


VARIANTS = (
    _variant("stacked_hourglass", 8, (25_434_112, 27_440_185_344)),
    _variant("stacked_hourglass_2", 2, (6_570_400, 8_334_606_336)),
)
