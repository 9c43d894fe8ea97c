"""Fully convolutional networks: a classifier's dense layers become convolutions, and skips bring back the detail.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", figures 2 and 3; Shelhamer,
Long, Darrell 2016, the journal's version, section 4; layer sizes of the authors' definitions.

fcn32s_googlenet at 3x32x32: stage1 64x16x16, stage2 192x8x8, stage3 480x4x4, stage4 832x2x2, stage5 1024x1x1

Of 3x500x500, fcn8s_vgg16 reads stage3 256x88x88, stage4 512x44x44 and stage6 4096x16x16, and gives 21x500x500 scores.

As published the first convolution pads by 100, and what it adds is cut off again where maps of two strides meet and
from the scores: how much, follows from the centres of the maps' units. The 32s, 16s and 8s networks read one, two and
three maps. Upsampling starts as bilinear interpolation and stays so in the last layer; score layers start at zero.

Deviations: the paper trained the finer networks from the coarser ones; here each can also be trained at once.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import final

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.bilinear import bilinear_upsampling
from convolve.layers.geometry import ReceptiveField, windows
from convolve.networks import alexnet, googlenet, vgg
from convolve.networks.network import Card, Network, Stage, Variant

_TITLE = "Fully convolutional networks for semantic segmentation"
_AUTHORS = "Long, Shelhamer, Darrell"

BORDER = 100  # the first convolution of the published networks


@final
class Upsampled(nn.Module):
    """Scores of every map it reads, the coarse ones enlarged onto the finer ones, at last onto the image (figure 3).

    [(N, channels, H/stride, W/stride), …] from fine to coarse, and (H, W), become (N, classes, H, W). ``maps`` are
    (channels, stride, centre of the first unit in pixels of the image) in that order, ``widest`` the kernel of the last
    upsampling.
    """

    def __init__(self, classes: int, maps: list[tuple[int, int, float]], widest: int | None = None) -> None:
        super().__init__()
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for channels, _, _ in maps)
        for layer in self.scores.parameters():
            nn.init.zeros_(layer)
        strides = [1, *(stride for _, stride, _ in maps)]
        factors = [coarse // fine for fine, coarse in pairwise(strides)]
        kernels = [2 * factor - (factor == 1) for factor in factors]
        kernels[0] = widest or kernels[0]
        self.enlarge = nn.ModuleList(
            bilinear_upsampling(classes, kernel, factor, learnt=place > 0) if factor > 1 else nn.Identity()
            for place, (kernel, factor) in enumerate(zip(kernels, factors, strict=True))
        )
        self.offsets = _offsets([(1, 0.0), *((stride, centre) for _, stride, centre in maps)], kernels)

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """The maps, fine to coarse, and the image's (height, width) to every pixel's scores."""
        scores = [score(given) for score, given in zip(self.scores, maps, strict=True)]
        found = scores.pop()
        for place in reversed(range(1, len(self.offsets))):
            large, small = self.enlarge[place](found), scores[place - 1]
            start = self.offsets[place]
            rows, columns = (
                min(have - max(0, -start), fine - max(0, start))
                for have, fine in zip(large.shape[2:], small.shape[2:], strict=True)
            )
            found = _cut(large, max(0, -start), rows, columns) + _cut(small, max(0, start), rows, columns)
        return _cut(self.enlarge[0](found), -self.offsets[0], *size)


def _offsets(maps: list[tuple[int, float]], kernels: list[int]) -> list[int]:
    """By how many units each finer map begins before the enlarged coarser one, from fine to coarse; as negative
    numbers, after it. What both cover begins with the later of them, and the next enlarging starts there.
    """
    found: list[int] = []
    _, centre = maps[-1]
    for (stride, fine), kernel in zip(reversed(maps[:-1]), reversed(kernels), strict=True):
        start = round((centre - fine) / stride - (kernel - 1) / 2 + 1e-9)
        found.append(start)
        centre = fine + max(0, start) * stride
    return found[::-1]


def _cut(map_: Tensor, start: int, rows: int, columns: int) -> Tensor:
    return map_[:, :, start : start + rows, start : start + columns]


@dataclass(frozen=True)
class Reading:
    """How a classifier is read: the ``stride`` of the finest map, the ``border`` that the first convolution pads by (0
    keeps its own padding and takes every map to cover the image evenly), and the ``kernel`` of the last upsampling,
    twice the stride unless given.
    """

    stride: int
    border: int = 0
    kernel: int | None = None


def fully_convolutional(network: Network, classes: int, reading: Reading) -> Network:
    """The classifier, taken over, made to answer for every pixel: its dense layers but the last become convolutions,
    with the same weights, and its poolings round up, as in Caffe, so that no pixel is left over.

    Raises `NetworkError` where no map has the asked stride.
    """
    stages = {
        name: Stage(network.stages[name], network.channels[name], network.strides[name]) for name in network.stages
    }
    stages |= _dense_stage(network, padded=not reading.border)
    convolutions = [
        layer for stage in stages.values() for layer in stage.layers.modules() if isinstance(layer, nn.Conv2d)
    ]
    if reading.border:
        convolutions[0].padding = (reading.border, reading.border)
    for layer in (layer for stage in stages.values() for layer in stage.layers.modules()):
        if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            layer.ceil_mode = True
    finest = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    reads = tuple(name for stride, name in sorted(finest.items()) if stride >= reading.stride)
    if reading.stride not in finest:
        raise NetworkError(
            f"{network.card.name} has no map of stride {reading.stride}; choose one of {', '.join(map(str, finest))}."
        )
    centres = dict(_centres(stages)) if reading.border else {name: (one.stride - 1) / 2 for name, one in stages.items()}
    maps = [(stages[name].channels, stages[name].stride, centres[name]) for name in reads]
    return Network(network.card, stages, Upsampled(classes, maps, reading.kernel), reads=reads)


def _dense_stage(network: Network, *, padded: bool) -> dict[str, Stage]:
    """What of the head works on maps: the layers before a global pooling, or dense layers as convolutions."""
    name, channels = list(network.channels.items())[-1]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    dense = [part for part, layer in network.head.named_children() if isinstance(layer, nn.Linear)]
    for part, layer in network.head.named_children():
        if isinstance(layer, nn.AdaptiveAvgPool2d) or part == dense[-1]:
            break
        if isinstance(layer, nn.Linear):
            layers[part] = convolution = as_convolution(layer, channels, padded=padded)
            channels = convolution.out_channels
        elif not isinstance(layer, nn.Flatten):
            layers[part] = layer
    stage = Stage(nn.Sequential(layers), channels, network.strides[name])
    return {f"stage{len(network.stages) + 1}": stage} if layers else {}


def as_convolution(layer: nn.Linear, channels: int, *, padded: bool) -> nn.Conv2d:
    """A dense layer on maps of ``channels`` as a convolution over the whole (square) map, with the same weights."""
    side = math.isqrt(layer.in_features // channels)
    convolution = nn.Conv2d(channels, layer.out_features, side, padding=side // 2 if padded else 0, device="meta")
    convolution.weight = nn.Parameter(layer.weight.detach().reshape(convolution.weight.shape))
    convolution.bias = nn.Parameter(layer.bias.detach())
    return convolution


def _centres(stages: Mapping[str, Stage]) -> Iterator[tuple[str, float]]:
    """Where, in pixels, the first unit of each stage's map stands; for chains of layers."""
    field = ReceptiveField(1, 1, 0)
    for name, stage in stages.items():
        for layer in stage.layers.modules():
            window = windows(layer)
            field = field.through(window[0]) if window else field
        yield name, field.offset + (field.size - 1) / 2


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`fcn8s_resnet18` and the like: any classifier, its finest map of stride 8, 16, 32 or what else it has; None for
    other names. The classifier is made at its published size.
    """
    match = re.fullmatch(r"fcn(\d+)s_(.+)", name)
    if not match:
        return None
    base = find(match[2])
    card = replace(base.card, name=name, title=_TITLE, authors=f"{_AUTHORS}; {base.card.authors}", year=2015)
    return Variant(_unmeasured(card), partial(_build, base, Reading(int(match[1]))))


def _build(base: Variant, reading: Reading, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    return fully_convolutional(base.build(card, classes, channels, base.card.input[1:]), classes, reading)


def _unmeasured(card: Card) -> Card:
    return replace(card, parameters=None, macs=None, top1_error=None, top5_error=None, evaluation="")


def _published(base: Variant, reading: Reading, counts: tuple[int, int]) -> Variant:
    card = Card(
        name=f"fcn{reading.stride}s_{base.card.name}",
        title=_TITLE,
        authors=_AUTHORS,
        year=2015,
        venue="CVPR 2015",
        address="https://arxiv.org/abs/1411.4038",
        input=(3, 500, 500),
        classes=21,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
    )
    return Variant(card, partial(_build, base, reading))


_VGG16, _ALEXNET, _GOOGLENET = (
    next(variant for variant in paper.VARIANTS if variant.card.name == name)
    for paper, name in ((vgg, "vgg16"), (alexnet, "alexnet"), (googlenet, "googlenet"))
)
VARIANTS = (
    _published(_ALEXNET, Reading(32, BORDER, 63), (58_704_590, 0)),
    _published(_VGG16, Reading(32, BORDER), (136_152_917, 0)),
    _published(_VGG16, Reading(16, BORDER), (134_815_994, 0)),
    _published(_VGG16, Reading(8, BORDER), (134_489_759, 0)),
    _published(_GOOGLENET, Reading(32), (0, 0)),
)
