"""Localization by regression: a classifier that also says where its object is, by four numbers.

Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun 2013, "OverFeat: integrated recognition, localization and detection using
convolutional networks", section 4.1; Simonyan, Zisserman 2014, "Very deep convolutional networks for large-scale image
recognition", appendix A.

localize_resnet18 at 3x224x224: stage1 64x112x112, stage2 64x56x56, stage3 128x28x28, stage4 256x14x14, stage5 512x7x7

`localize_NAME` is any convolutional classifier with its stages, head and auxiliary heads as they are, and a second head
next to its own. As in OverFeat that head reads the last map, where positions are not averaged yet, by dense layers, so
that it needs images of the size that the network was built for. An image's outputs are the scores of the classes and
then four numbers, whose sigmoids are the box: the center's x and y, width and height (the order of VGG's appendix), as
fractions of the input's sides. At first the box is the middle of the image, half as wide and high.

All classes share the four numbers (VGG's single-class regression). Four for each class would be learned from that
class's images alone, and a few hundred images have too few of each.

Deviations: OverFeat's dense layers have 4096 and 1024 units; here a 1x1 convolution reduces the map to 128 channels,
and one layer of 256 follows. The sigmoids are not in the papers.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.description import Parallel
from convolve.layers.initializers import gaussian, he_normal
from convolve.models.network import Card, Network, Stage, Variant

COORDINATES = 4
WIDTH, HIDDEN = 128, 256
"""Channels that the last map is reduced to, and units of the dense layer after it."""
_PREFIX = "localize_"
_SCORES = "head.scores."


@final
class LocalizationHead(nn.Module):
    """A classifier's own head, ``scores``, and next to it ``box``, which reads a map of one ``grid`` (height, width).

    Shape: (N, C, H, W) -> (N, classes + 4)
    """

    def __init__(self, scores: nn.Module, box: nn.Module, grid: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__()
        self.scores, self.box = scores, box
        self.grid, self.size = grid, size

    def forward(self, maps: Tensor) -> Tensor:
        """The scores and the four numbers. Raises `NetworkError` for a map of another size."""
        check_grid(maps, self.grid, self.size, "box")
        numbers = self.box(maps)  # first, since layers of the other head may work in place
        return torch.cat([self.scores(maps), numbers], 1)

    def describe(self) -> Parallel:
        """Both heads read the same map."""
        return Parallel(("scores", "box"))


def name_for(classifier: str) -> str:
    """The name of a classifier's localization network."""
    return f"{_PREFIX}{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`localize_resnet18` and the like: any convolutional classifier; None for other names. Raises `NetworkError` for
    a network that is no convolutional classifier.
    """
    base = classifier_after(_PREFIX, name, find)
    if base is None:
        return None
    if base.card.dense:
        raise _without_map(base.card)
    card = Card(
        name=name,
        title="Localization by regression",
        authors="Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun",
        year=2013,
        venue="ICLR 2014",
        address="https://arxiv.org/abs/1312.6229",
        input=base.card.input,
        classes=base.card.classes,
        minimum=base.card.minimum,
        output="box",
        classifier=base.card.name,
        multiple=base.card.multiple,
        own_channels=base.card.own_channels,
    )
    return Variant(card, partial(_with_box, base))


def classifier_after(prefix: str, name: str, find: Callable[[str], Variant]) -> Variant | None:
    """The classifier that a name such as `localize_resnet18` has after its ``prefix``; None for other names. Raises
    `NetworkError` for a network that is no classifier.
    """
    if not name.startswith(prefix) or name == prefix:
        return None
    base = find(name.removeprefix(prefix))
    if base.card.output != "image":
        raise NetworkError(f"{base.card.name} is no classifier; name one, as in {prefix}resnet18.")
    return base


def coordinate_layers(channels: int, grid: tuple[int, int], numbers: int) -> nn.Sequential:
    """Dense layers from a map of a ``grid`` (height, width) to numbers, which are all 0 at first.

    Shape: (N, channels, *grid) -> (N, numbers)
    """
    layers = OrderedDict[str, nn.Module](
        reduce=nn.Conv2d(channels, WIDTH, 1, bias=False),
        norm=nn.BatchNorm2d(WIDTH),
        relu=nn.ReLU(inplace=True),
        flatten=nn.Flatten(),
        hidden=nn.Linear(WIDTH * grid[0] * grid[1], HIDDEN),
        relu_hidden=nn.ReLU(inplace=True),
    )
    found = nn.Sequential(layers).apply(he_normal)
    found.add_module("coordinates", gaussian(nn.Linear(HIDDEN, numbers), 0.0))
    return found


def check_grid(maps: Tensor, grid: tuple[int, int], size: tuple[int, int], what: str) -> None:
    """Raise `NetworkError` for a map of another size than dense layers of ``what`` read, that of images of a ``size``
    (height, width).
    """
    if tuple(maps.shape[2:]) != grid:
        raise NetworkError(
            f"The dense layers of the {what} were built for images of {size[1]}x{size[0]} pixels; give such images, or "
            "build the network for the size of these."
        )


def state_of_classifier(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's state dict under the names of its localization network."""
    return {re.sub(r"^head\.", _SCORES, name): value for name, value in state.items()}


def _without_map(card: Card) -> NetworkError:
    return NetworkError(
        f"{card.name} has no convolutional stage whose map shows where an object is; choose another network, such as "
        f"{name_for('resnet18')}."
    )


def _with_box(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    network = base.build(base.card, classes, channels, size)
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise _without_map(base.card)
    stages = {name: Stage(part, network.channels[name], network.strides[name]) for name, part in network.stages.items()}
    grid = last_grid(base, channels, size)
    box = coordinate_layers(list(stages.values())[-1].channels, grid, COORDINATES)
    return Network(card, stages, LocalizationHead(network.head, box, grid, size), dict(network.auxiliary.items()))


def last_grid(base: Variant, channels: int, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the last stage's map for images of a ``size``."""
    with torch.device("meta"):
        probe = base.build(base.card, base.card.classes, channels, size).eval()
        maps = list(probe.features(torch.empty(1, channels, *size)).values())
    return maps[-1].shape[2], maps[-1].shape[3]
