"""YOLO v3, and Darknet-53, the classifier that it is made of.

Redmon, Farhadi 2018, "YOLOv3: an incremental improvement", sections 2.3 and 2.4 and Table 1; the authors' definitions
`yolov3.cfg`, `yolov3-tiny.cfg`, `yolov3-spp.cfg` and `darknet53.cfg`.

darknet53 at 3x256x256: stage1 64x128x128, stage2 128x64x64, stage3 256x32x32, stage4 512x16x16, stage5 1024x8x8
yolo_v3 at 3x416x416: stage1 64x208x208, stage2 128x104x104, stage3 256x52x52, stage4 512x26x26, stage5 1024x13x13
yolo_v3_tiny at 3x416x320: stage1 32x208x160, stage2 64x104x80, stage3 128x52x40, stage4 256x26x20, stage5 512x13x10

A stage begins with the convolution that halves the map. The head goes from the coarsest map to finer ones: the layers
of a scale give 3 * (5 + classes) numbers in each cell, and a narrower map that is upsampled and put before that of the
finer stage. Outputs are in that order, coarse first; what they mean is in `layers.yolo_v3`. Sides may be any multiples
of 32. `yolo_v3_spp` has three max poolings (5, 9, 13) next to each other in the coarsest scale. Classes are COCO's 80.

Deviations: normalization adds 1e-5 to the variance, as Darknet does on GPUs. The finer map of `yolo_v3_tiny` has the
anchors 0 to 2; some copies of its file give it 1 to 3.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet import darknet_pool
from convolve.layers.initializers import he_normal
from convolve.layers.leaky import leaky_convolution
from convolve.layers.pooling import SpatialPyramid
from convolve.layers.residual import LinearResidual
from convolve.layers.scales import Scale, Scales
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models import yolo_v2
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.yolo_v2 import CELL, TINY, Anchors, plain_stages

TABLE_1 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # channels and residual blocks after each halving
COCO: Anchors = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
COCO_TINY: Anchors = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))


def _residual(channels: int) -> nn.Module:
    half = channels // 2
    branch = OrderedDict[str, nn.Module](
        conv1=leaky_convolution(channels, half, 1), conv2=leaky_convolution(half, channels)
    )
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
    layers: list[nn.Module] = [
        leaky_convolution(channels, half, 1),
        leaky_convolution(half, width),
        leaky_convolution(width, half, 1),
    ]
    layers += [SpatialPyramid(), leaky_convolution(4 * half, half, 1)] if pooled else []
    return nn.Sequential(*layers, leaky_convolution(half, width), leaky_convolution(width, half, 1))


def _tip(channels: int, width: int, outputs: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=leaky_convolution(channels, width), outputs=nn.Conv2d(width, outputs, 1)))


def _up(channels: int, width: int) -> nn.Module:
    return nn.Sequential(OrderedDict(conv=leaky_convolution(channels, width, 1), up=nn.Upsample(scale_factor=2)))


def pyramid(channels: Sequence[int], widths: Sequence[int], outputs: int, *, pooled: bool = False) -> Scales:
    """The head for maps of these ``channels``, coarse to fine, and convolutions of these ``widths``."""
    coarsest = Scale(None, _body(channels[0], widths[0], pooled=pooled), _tip(widths[0] // 2, widths[0], outputs))
    scales = [coarsest]
    for coarser, enters, width in zip(widths, channels[1:], widths[1:], strict=False):
        up, body = _up(coarser // 2, coarser // 4), _body(coarser // 4 + enters, width)
        scales.append(Scale(up, body, _tip(width // 2, width, outputs)))
    return Scales(scales)


def yolo_head(layers: Scales, anchors: Anchors) -> ConvolutionalBoxHead:
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
    head = yolo_head(pyramid(widths, widths, 3 * (5 + classes), pooled=pooled), COCO)
    return Network(card, stages, head, head_inputs=("stage3", "stage4", "stage5")).apply(he_normal)


def _yolo_v3_tiny(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    outputs = 3 * (5 + classes)
    body = [darknet_pool(2, 1), leaky_convolution(512, 1024), leaky_convolution(1024, 256, 1)]
    coarse = Scale(None, nn.Sequential(*body), _tip(256, 512, outputs))
    fine = Scale(_up(256, 128), nn.Identity(), _tip(128 + 256, 256, outputs))
    stages = plain_stages(16, TINY, channels)
    return Network(card, stages, yolo_head(Scales([coarse, fine]), COCO_TINY), head_inputs=("stage4", "stage5")).apply(
        he_normal
    )


def detector_card(
    name: str, channels: int, classifier: str, counts: tuple[int, int] | tuple[None, None] = (None, None)
) -> Card:
    """The card of a detection network made of a classifier, with its counts of parameters and multiply-adds."""
    return replace(
        yolo_v2.detector_card(name, channels, classifier, counts),
        title="YOLOv3: an incremental improvement",
        year=2018,
        venue="arXiv",
        address="https://arxiv.org/abs/1804.02767",
        classes=80,
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
    parameters=41_609_928,
    macs=9_285_115_904,
    top1_error=22.8,
    top5_error=6.2,
    evaluation="one crop of 256x256 (Table 2)",
)
VARIANTS = (
    Variant(_DARKNET53, _darknet53),
    Variant(detector_card("yolo_v3", 3, "darknet53", (61_949_149, 32_932_037_632)), partial(_yolo_v3, pooled=False)),
    Variant(detector_card("yolo_v3_spp", 3, "darknet53", (62_998_749, 33_109_246_976)), partial(_yolo_v3, pooled=True)),
    Variant(detector_card("yolo_v3_tiny", 3, "", (8_852_366, 2_782_480_896)), _yolo_v3_tiny),
)
