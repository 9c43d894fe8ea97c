"""DeepPose: the coordinates of points by regression.

Toshev, Szegedy 2014, "DeepPose: human pose estimation via deep neural networks", section 3.1.

deeppose_resnet18 at 3x224x224: stage1 64x112x112, stage2 64x56x56, stage3 128x28x28, stage4 256x14x14, stage5 512x7x7

`deeppose_NAME` is any classifier with two numbers for each point in place of its scores: how far the point is from its
mean position, all 0 at first. As in AlexNet, which the paper takes, dense layers read the last map. Many classifiers
end in its average instead, in which it no longer matters where in the image something is. The dense layers need images
of the size that the network was built for. A classifier without convolutions keeps its own head, which sees all pixels.

Deviations: the paper's dense layers have 4096 units each; here a 1x1 convolution reduces the map to 128 channels, and
one layer of 256 follows, as in `models.localization`. The cascade of further networks, which look at what is cut out
around each point (section 3.2), is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

from torch import Tensor, nn

from convolve.layers.description import Series
from convolve.models.localization import check_grid, classifier_after, coordinate_layers, last_grid
from convolve.models.network import Card, Network, Stage, Variant

_PREFIX = "deeppose_"


@final
class CoordinateHead(nn.Module):
    """Dense ``layers`` for a map of one ``grid`` (height, width), that of images of a ``size``.

    Shape: (N, C, H, W) -> (N, 2 points)
    """

    def __init__(self, layers: nn.Module, grid: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__()
        self.layers = layers
        self.grid, self.size = grid, size

    def forward(self, maps: Tensor) -> Tensor:
        """The numbers. Raises `NetworkError` for a map of another size."""
        check_grid(maps, self.grid, self.size, "points")
        numbers: Tensor = self.layers(maps)
        return numbers

    def describe(self) -> Series:
        """Its layers alone."""
        return Series(("layers",))


def name_for(classifier: str) -> str:
    """The name of a classifier's network for the coordinates of points."""
    return f"{_PREFIX}{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`deeppose_resnet18` and the like: any classifier; None for other names. Raises `NetworkError` for a network that
    is no classifier.
    """
    base = classifier_after(_PREFIX, name, find)
    if base is None:
        return None
    card = Card(
        name=name,
        title="DeepPose: human pose estimation via deep neural networks",
        authors="Toshev, Szegedy",
        year=2014,
        venue="CVPR 2014",
        address="https://arxiv.org/abs/1312.4659",
        input=base.card.input,
        classes=28,
        minimum=base.card.minimum,
        output="coordinates",
        classifier=base.card.name,
        multiple=base.card.multiple,
        own_channels=base.card.own_channels,
        normalized=True,
    )
    return Variant(card, partial(_with_coordinates, base))


def _with_coordinates(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    network = base.build(base.card, classes, channels, size)
    stages = {name: Stage(part, network.channels[name], network.strides[name]) for name, part in network.stages.items()}
    if not any(True for _ in network.stages.parameters()):
        return Network(card, stages, network.head)
    grid = last_grid(base, channels, size)
    layers = coordinate_layers(list(stages.values())[-1].channels, grid, classes)
    return Network(card, stages, CoordinateHead(layers, grid, size))
