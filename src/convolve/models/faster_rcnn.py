"""Faster R-CNN.

Ren, He, Girshick, Sun 2015, "Faster R-CNN: towards real-time object detection with region proposal networks", sections
3 and 4; the authors' definitions for VGG-16 and ZF. ResNet: He, Zhang, Ren, Sun 2015, "Deep residual learning for image
recognition", appendix A. Pyramids: Lin, Dollár, Girshick, He, Hariharan, Belongie 2017, "Feature pyramid networks for
object detection", with the constants of torchvision.

faster_rcnn_vgg16 at 3x64x96: stage1 64x32x48, stage2 128x16x24, stage3 256x8x12, stage4 512x4x6, stage5 512x4x6
faster_rcnn_resnet50 at 3x64x96: stage1 64x32x48, stage2 256x16x24, stage3 512x8x12, stage4 1024x4x6
faster_rcnn_resnet50_fpn at 3x64x64: stage1 64x32x32, stage2 256x16x16, stage3 512x8x8, stage4 1024x4x4, stage5 2048x2x2

Regions are proposed and pooled on the last map of stride 16; VGG-16 and ZF have no last pooling. What follows in the
classifier becomes the second stage, for each region by itself: dense layers, for which regions are pooled to as many
cells as they read, or stage 5 on 14x14 cells and the mean of its map. `faster_rcnn_NAME` is the same for any
classifier; if nothing follows its last map of stride 16, the second stage has two dense layers of 1024 on 7x7 cells.
`faster_rcnn_NAME_fpn` pools from maps of four strides, by RoIAlign, for two dense layers of 1024. Sides may be any.
Classes are VOC's 20, with a pyramid COCO's 80. The steps are in `layers.faster_rcnn`.

Deviations: all is trained at once (section 3.2, "approximate joint training"), not in four steps, unless they are asked
for (`--alternating`; see `tasks.detect.alternating_training`). ZF is `convolve.models.zfnet` padded evenly; its
authors' file normalizes in other places. Boxes are cut at the edges of the image, where the program cuts them at the
last pixels; a side is 16 pixels of the input at least, not of the original image. A target that no anchor overlaps
makes none positive; in the program it makes all those so. Anchors of pyramids are placed by the strides; torchvision
places them by the sizes of the maps, which is the same for multiples of 32.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.box_coding import LARGEST_SCALE, BoxCoder
from convolve.layers.faster_rcnn import ProposalLayers, TwoStageHead
from convolve.layers.feature_pyramid import FeaturePyramid
from convolve.layers.region_classifier import DEVIATIONS, RegionClassifier, RegionOptions, RegionPool
from convolve.layers.region_proposals import (
    ProposalOptions,
    anchor_sides,
    centered_anchors,
    published_anchors,
)
from convolve.models import resnet, vgg, zfnet
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.region_networks import BINS, DENSE, STRIDE, two_dense_layers
from convolve.models.yolo_family import even_stages

PYRAMID = (4, 8, 16, 32)
"""Strides of the maps that regions are pooled from with one; one more is for proposals alone."""
_WIDEST, _PYRAMID_WIDTH = 512, 256
_SIZES = (32, 64, 128, 256, 512)  # of anchors, one for each map
_NAME = re.compile(r"faster_rcnn_(.+?)(_fpn)?")

_PYRAMID_PROPOSALS = ProposalOptions(
    coder=BoxCoder(largest=LARGEST_SCALE),
    inside=False,
    least_side=1e-3,
    filter_first=False,
    training=(2000, 2000),
    testing=(1000, 1000),
)
_PYRAMID_REGIONS = RegionOptions(coder=BoxCoder(deviations=DEVIATIONS, largest=LARGEST_SCALE), samples=512, beta=1 / 9)


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`faster_rcnn_resnet18`, `faster_rcnn_resnet18_fpn` and the like: any classifier, built for its published input
    size; None for other names.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return None
    base = find(match[1])
    return Variant(_card(name, base.card), partial(_with_pyramid if match[2] else _with_one_map, base))


def _with_one_map(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "faster_rcnn_resnet18")
    layers, width, side = _second_stage(base, stages, channels)
    name, stage = list(stages.items())[-1]
    options, anchors = ProposalOptions(), published_anchors()
    rpn = ProposalLayers(stage.channels, min(stage.channels, _WIDEST), len(anchors), pairs=True)
    classifier = RegionClassifier(RegionPool(side, (stage.stride,)), layers, width, classes, RegionOptions())
    head = TwoStageHead(None, rpn, classifier, anchors[None], (stage.stride,), options)
    return Network(card, stages, head, head_inputs=(name,))


def _second_stage(base: Variant, stages: dict[str, Stage], channels: int) -> tuple[nn.Module, int, int]:
    """The layers of the second stage, how many numbers leave them, and the cells along a side that they read. What they
    take over leaves the ``stages``, and so does a last pooling.
    """
    name, last = list(stages.items())[-1]
    parts = OrderedDict(last.layers.named_children())
    if parts and isinstance(list(parts.values())[-1], nn.MaxPool2d):
        parts.popitem()
        stages[name] = Stage(nn.Sequential(parts), last.channels, last.stride // 2)
        head = base.build(base.card, base.card.classes, channels, base.card.input[1:]).head
        dense = [layer for layer in head.children() if isinstance(layer, nn.Linear)]
        if len(dense) > 1:
            layers = OrderedDict(list(head.named_children())[:-1])
            return nn.Sequential(layers), dense[-2].out_features, math.isqrt(dense[0].in_features // last.channels)
    deep = {name: stage for name, stage in stages.items() if stage.stride > STRIDE}
    for name in deep:
        del stages[name]
    if not stages:
        raise NetworkError(f"{base.card.name} has no map of stride {STRIDE} or less; choose another classifier.")
    last = list(stages.values())[-1]
    if not deep:
        return nn.Sequential(two_dense_layers(last.channels)), DENSE, BINS
    deepest = list(deep.values())[-1]
    layers = OrderedDict((name, stage.layers) for name, stage in deep.items())
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(layers), deepest.channels, BINS * deepest.stride // last.stride


def _with_pyramid(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "faster_rcnn_resnet18_fpn")
    names = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    if not set(PYRAMID) <= set(names):
        raise NetworkError(
            f"{base.card.name} has no maps of strides 4, 8, 16 and 32, which a pyramid needs; choose "
            f"faster_rcnn_{base.card.name} or another classifier."
        )
    read = tuple(names[stride] for stride in PYRAMID)
    sides = anchor_sides(_SIZES).view(-1, len(_SIZES), 2).transpose(0, 1)
    anchors = centered_anchors(sides)
    rpn = ProposalLayers(_PYRAMID_WIDTH, _PYRAMID_WIDTH, anchors.shape[1], pairs=False)
    layers, pool = nn.Sequential(two_dense_layers(_PYRAMID_WIDTH)), RegionPool(BINS, PYRAMID, align=True)
    head = TwoStageHead(
        FeaturePyramid([stages[name].channels for name in read], _PYRAMID_WIDTH),
        rpn,
        RegionClassifier(pool, layers, DENSE, classes, _PYRAMID_REGIONS),
        anchors,
        (*PYRAMID, 2 * PYRAMID[-1]),
        _PYRAMID_PROPOSALS,
    )
    return Network(card, stages, head, head_inputs=read)


def _card(name: str, base: Card, counts: tuple[int, int] | tuple[None, None] = (None, None)) -> Card:
    pyramid = name.endswith("_fpn")
    return Card(
        name=name,
        title="Faster R-CNN: towards real-time object detection with region proposal networks",
        authors="Ren, He, Girshick, Sun",
        year=2017 if pyramid else 2015,
        venue="NIPS 2015",
        address="https://arxiv.org/abs/1506.01497",
        input=(base.input[0], 600, 800),
        classes=80 if pyramid else 20,
        minimum=64,
        parameters=counts[0],
        macs=counts[1],
        output="boxes",
        classifier=base.name,
        two_stages=True,
        nms_iou=(0.5, "as in torchvision") if pyramid else (0.3, "as published"),
    )


def _variant(name: str, base: Variant, counts: tuple[int, int]) -> Variant:
    build = _with_pyramid if name.endswith("_fpn") else _with_one_map
    return Variant(_card(name, base.card, counts), partial(build, base))


_CLASSIFIERS: Mapping[str, Variant] = {
    variant.card.name: variant for paper in (vgg, zfnet, resnet) for variant in paper.VARIANTS
}
VARIANTS = (
    _variant("faster_rcnn_vgg16", _CLASSIFIERS["vgg16"], (137_078_239, 187_513_344_000)),
    _variant("faster_rcnn_zf", _CLASSIFIERS["zfnet"], (59_294_751, 29_818_675_200)),
    _variant("faster_rcnn_resnet50", _CLASSIFIERS["resnet50"], (28_469_983, 258_792_652_800)),
    _variant("faster_rcnn_resnet50_fpn", _CLASSIFIERS["resnet50_v1_5"], (41_757_156, 104_649_112_320)),
)
