"""YOLO v3, and Darknet-53, the classifier that it is made of.

Redmon, Farhadi 2018, "YOLOv3: an incremental improvement", sections 2.3 and 2.4 and Table 1; the authors' definitions
`yolov3.cfg`, `yolov3-tiny.cfg`, `yolov3-spp.cfg` and `darknet53.cfg`.

darknet53 at 3x256x256: stage1 64x128x128, stage2 128x64x64, stage3 256x32x32, stage4 512x16x16, stage5 1024x8x8
yolo_v3 at 3x416x416: stage1 64x208x208, stage2 128x104x104, stage3 256x52x52, stage4 512x26x26, stage5 1024x13x13
yolo_v3_tiny at 3x416x320: stage1 32x208x160, stage2 64x104x80, stage3 128x52x40, stage4 256x26x20, stage5 512x13x10

A stage begins with the convolution that halves the map. The head goes from the coarsest map to finer ones: its layers
for a scale give the outputs, 3 * (5 + classes) numbers, and a narrower map that is upsampled and put before that of the
finer stage. Outputs are in that order, coarse first; what they mean is in `layers.yolo_v3`. Sides may be any multiples
of 32. `yolo_v3_spp` has three max poolings (5, 9, 13) next to each other in the coarsest scale. Classes are COCO's 80.

`yolo_v3_NAME` puts such a head on any other classifier's stages, evenly padded, where three of their strides double:
`yolo_v3_resnet18`. Its scales are as wide as these maps, 1024, 512 and 256 at most. Its last convolutions start at
N(0, 0.01²), with biases that let an object be present with probability 0.01; those of the published ones start as all
others, as in Darknet.

Deviations: normalization adds 1e-5 to the variance, as Darknet does on GPUs. In the published file of `yolo_v3_tiny` the
finer map's anchors are 0 to 2, as here; some copies have 1 to 3.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet import darknet_pool
from convolve.layers.description import Parallel, Series, Skip
from convolve.layers.initializers import gaussian, he_normal
from convolve.layers.leaky import leaky_convolution
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models.convolutional import classifier_stages, pad_evenly
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.yolo_v2 import CELL, TINY, Anchors, plain_stages

TABLE_1 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # channels and residual blocks after each halving
COCO: Anchors = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
COCO_TINY: Anchors = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
_RARE = -4.595  # the logit of 0.01
_NAME = re.compile(r"yolo_v3_(.+)")


@final
class LinearResidual(nn.Module):
    """y = x + branch(x); nothing follows the sum."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to the same shape."""
        return maps + self.branch(maps)

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


@final
class PyramidPooling(nn.Module):
    """A map and its maxima in windows of 13, 9 and 5 around each position, next to each other, the map last.

    Shape: (N, channels, H, W) -> (N, 4 * channels, H, W)
    """

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.MaxPool2d(side, 1, padding=side // 2) for side in (13, 9, 5))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) maps to four times the channels."""
        return torch.cat([*(pool(maps) for pool in self.pools), maps], 1)

    def describe(self) -> Parallel:
        """The poolings."""
        return Parallel(("pools.0", "pools.1", "pools.2"))


@final
class Scales(nn.Module):
    """Maps, fine to coarse, to outputs, coarse to fine. For each scale there are the ``body``, whose map goes on, its
    ``tip``, which ends in the outputs, and but for the last one ``up``, which leads to the next.
    """

    def __init__(self, scales: Sequence[dict[str, nn.Module]]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(nn.ModuleDict(scale) for scale in scales)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        """[…, (N, C, 2 H, 2 W), (N, D, H, W)] to ((N, outputs, H, W), (N, outputs, 2 H, 2 W), …)."""
        outputs, finer = [], maps[::-1]
        current = finer[0]
        for scale, following in zip(self.scales, [*finer[1:], None], strict=True):
            current = scale["body"](current)
            outputs.append(scale["tip"](current))
            if following is not None:
                current = torch.cat((scale["up"](current), following), 1)
        return tuple(outputs)

    def describe(self) -> Series:
        """Its layers, as if one after the other."""
        return Series(tuple(f"scales.{index}.{name}" for index, scale in enumerate(self.scales) for name in scale))


def _residual(channels: int) -> nn.Module:
    half = channels // 2
    branch = OrderedDict(conv1=leaky_convolution(channels, half, 1), conv2=leaky_convolution(half, channels))
    return LinearResidual(nn.Sequential(branch))


def _darknet53_stages(channels: int) -> dict[str, Stage]:
    layers, stages = OrderedDict[str, nn.Module](conv0=leaky_convolution(channels, 32)), {}
    channels = 32
    for number, (width, count) in enumerate(TABLE_1, 1):
        layers[f"conv{number}"] = leaky_convolution(channels, width, stride=2)
        layers |= {f"block{number}_{index}": _residual(width) for index in range(1, count + 1)}
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2**number)
        layers, channels = OrderedDict(), width
    return stages


def _body(channels: int, width: int, *, pooled: bool = False) -> nn.Module:
    """Five convolutions, 1x1 of half the ``width`` and 3x3 of all; ``pooled`` has two more around its poolings."""
    half = width // 2
    layers = [leaky_convolution(channels, half, 1), leaky_convolution(half, width), leaky_convolution(width, half, 1)]
    layers += [PyramidPooling(), leaky_convolution(4 * half, half, 1)] if pooled else []
    return nn.Sequential(*layers, leaky_convolution(half, width), leaky_convolution(width, half, 1))


def _tip(channels: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=leaky_convolution(channels, width), outputs=nn.Conv2d(width, outputs, 1)))


def _up(channels: int, width: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=leaky_convolution(channels, width, 1), up=nn.Upsample(scale_factor=2)))


def _pyramid(channels: Sequence[int], widths: Sequence[int], outputs: int, *, pooled: bool = False) -> Scales:
    """The head for maps of these ``channels``, coarse to fine, and convolutions of these ``widths``."""
    scales, enters = [], channels[0]
    for index, (width, following) in enumerate(zip(widths, [*channels[1:], 0], strict=True)):
        scale = {"body": _body(enters, width, pooled=pooled and not index), "tip": _tip(width // 2, width, outputs)}
        if following:
            scale["up"] = _up(width // 2, width // 4)
            enters = width // 4 + following
        scales.append(scale)
    return Scales(scales)


def _head(layers: Scales, anchors: Anchors) -> ConvolutionalBoxHead:
    """The layers, and what they give out: three anchors a scale, the largest ones at the coarsest."""
    masks = [list(range(first, first + 3)) for first in range(len(anchors) - 3, -1, -3)]
    return ConvolutionalBoxHead(layers, YoloOutput(anchors, masks), CELL)


def _darknet53(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    head = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(1024, classes))
    return Network(card, _darknet53_stages(channels), nn.Sequential(head)).apply(he_normal)


def _yolo_v3(card: Card, classes: int, channels: int, size: tuple[int, int], *, pooled: bool) -> Network:
    del size  # any
    stages, widths = _darknet53_stages(channels), (1024, 512, 256)
    head = _head(_pyramid(widths, widths, 3 * (5 + classes), pooled=pooled), COCO)
    return Network(card, stages, head, head_inputs=("stage3", "stage4", "stage5")).apply(he_normal)


def _yolo_v3_tiny(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    outputs = 3 * (5 + classes)
    body = [darknet_pool(2, 1), leaky_convolution(512, 1024), leaky_convolution(1024, 256, 1)]
    coarse = {"body": nn.Sequential(*body), "tip": _tip(256, 512, outputs), "up": _up(256, 128)}
    fine = {"body": nn.Identity(), "tip": _tip(128 + 256, 256, outputs)}
    stages = plain_stages(16, TINY, channels)
    return Network(card, stages, _head(Scales([coarse, fine]), COCO_TINY), head_inputs=("stage4", "stage5")).apply(
        he_normal
    )


def _on_classifier(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = classifier_stages(base.build(base.card, classes, channels, base.card.input[1:]), "yolo_v3_resnet18")
    pad_evenly(stages)
    last = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    coarsest = max(last)
    names = [last[coarsest // factor] for factor in (1, 2, 4) if coarsest % factor == 0 and coarsest // factor in last]
    if len(names) < 3:
        raise NetworkError(
            f"{base.card.name} has no maps of three strides that double; choose yolo_v2_{base.card.name} or another "
            "classifier."
        )
    read = [stages[name].channels for name in names]
    layers = _pyramid(read, [min(pair) for pair in zip(read, (1024, 512, 256), strict=True)], 3 * (5 + classes))
    layers.apply(he_normal)
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            _start_rare(layer)
    return Network(card, stages, _head(layers, COCO), head_inputs=tuple(reversed(names)))


@torch.no_grad()
def _start_rare(outputs: nn.Conv2d) -> None:
    gaussian(outputs, 0.01).bias.unflatten(0, (3, -1))[:, 4] = _RARE  # type: ignore[union-attr]


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`yolo_v3_resnet18` and the like: the head on any classifier; None for other names. The classifier is built for
    its published input size.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return None
    base = find(match[1])
    return Variant(_card(name, base.card.input[0], base.card.name), partial(_on_classifier, base))


def _card(
    name: str, channels: int, classifier: str, counts: tuple[int, int] | tuple[None, None] = (None, None)
) -> Card:
    return Card(
        name=name,
        title="YOLOv3: an incremental improvement",
        authors="Redmon, Farhadi",
        year=2018,
        venue="arXiv",
        address="https://arxiv.org/abs/1804.02767",
        input=(channels, 416, 416),
        classes=80,
        minimum=CELL,
        parameters=counts[0],
        macs=counts[1],
        output="boxes",
        classifier=classifier,
        multiple=CELL,
    )


_DARKNET53 = Card(
    name="darknet53",
    title="YOLOv3: an incremental improvement",
    authors="Redmon, Farhadi",
    year=2018,
    venue="arXiv",
    address="https://arxiv.org/abs/1804.02767",
    input=(3, 256, 256),
    classes=1000,
    minimum=1,
    parameters=1,
    macs=1,
    top1_error=22.8,
    top5_error=6.2,
    evaluation="one crop of 256x256 (Table 2)",
)
VARIANTS = (
    Variant(_DARKNET53, _darknet53),
    Variant(_card("yolo_v3", 3, "darknet53", (1, 1)), partial(_yolo_v3, pooled=False)),
    Variant(_card("yolo_v3_spp", 3, "darknet53", (1, 1)), partial(_yolo_v3, pooled=True)),
    Variant(_card("yolo_v3_tiny", 3, "", (1, 1)), _yolo_v3_tiny),
)
