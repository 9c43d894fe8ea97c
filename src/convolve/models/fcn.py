"""Fully convolutional networks: a classifier's dense layers become convolutions, and skips restore the detail.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", figures 2 and 3; Shelhamer,
Long, Darrell 2016, the journal's version, section 4; the authors' definitions.

fcn8s_vgg16 at 3x1x1: stage1 64x100x100, stage2 128x50x50, stage3 256x25x25, stage4 512x13x13, stage5 512x7x7, stage6 4096x1x1
fcn32s_googlenet at 3x500x500: stage1 64x250x250, stage2 192x125x125, stage3 480x63x63, stage4 832x32x32, stage5 1024x16x16

The 32s, 16s and 8s networks score one, two and three maps. As published the first convolution pads by 100, and what
that adds is cropped again where maps of two strides meet and from the scores; the crops follow from the centers of the
maps' units. Equal rows of that border are computed once (`layers.border`); the cards' multiply-adds count all of them.
A name that ends in `_same`, and that of any classifier that the paper did not convert (`fcn16s_resnet18`), means the
other padding: every layer pads so that its map covers the image evenly. With `_dilated` before it, the strides of later
stages are removed from the classifier instead of scoring finer maps (`fcn8s_resnet50_dilated`).

The paper trained 32s, then 16s from its weights, then 8s: parameters have the same names in all three. `_atonce` trains
8s directly, with pool4 scaled by 0.01 and pool3 by 0.0001 and all upsampling fixed, as in the authors' definition. The
paper learns the upsampling between maps and fixes the last one; the authors' definitions fix all.

Deviations: the authors published no definition of FCN-GoogLeNet, which pads evenly here. FCN-AlexNet is CaffeNet, as in
the definition.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from convolve.errors import NetworkError
from convolve.layers.skips import SkipMap, Skips
from convolve.models import alexnet, googlenet, vgg
from convolve.models.convolutional import (
    compute_border_once,
    convolutional_stages,
    dilate_stages,
    pad_border,
    pad_evenly,
)
from convolve.models.network import Card, Network, Variant

BORDER = 100
"""The padding of the published networks' first convolution."""
AT_ONCE = {8: 0.0001, 16: 0.01}
"""The factors of maps, by stride, where no coarser network was trained before."""
_NAME = re.compile(r"fcn(\d+)s_(.+?)(_dilated)?(?:_same|(_atonce))?")


@dataclass(frozen=True)
class Conversion:
    """How a classifier is converted: the ``stride`` of the finest map that is scored; the ``border`` that the first
    convolution pads by (0: every layer pads to cover the image evenly); the ``kernel`` of the last upsampling, twice
    the stride unless given; the ``scales`` of maps by their stride; whether upsampling between maps is ``learned``;
    whether stages of larger strides are ``dilated`` to this one.
    """

    stride: int
    border: int = 0
    kernel: int | None = None
    scales: Mapping[int, float] | None = None
    learned: bool = True
    dilated: bool = False


def fully_convolutional_network(card: Card, network: Network, classes: int, conversion: Conversion) -> Network:
    """A segmentation network made of a classifier's own layers: all its dense layers but the last become convolutions
    with the same weights. Raises `NetworkError` where no map has that stride or a layer cannot be converted.
    """
    name = network.card.name
    stages = convolutional_stages(network)
    if conversion.dilated:
        stages = dilate_stages(stages, conversion.stride)
    centers = pad_border(stages, conversion.border) if conversion.border else pad_evenly(stages)
    finest = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    if conversion.stride not in finest:
        strides = ", ".join(map(str, finest))
        raise NetworkError(f"{name} has no map of stride {conversion.stride}; choose one of the strides {strides}.")
    scales = conversion.scales or {}
    maps = {
        name: SkipMap(stages[name].channels, stride, centers[name], scales.get(stride, 1.0))
        for stride, name in sorted(finest.items())
        if stride >= conversion.stride
    }
    head = Skips(classes, maps, conversion.kernel, learned=conversion.learned)
    if conversion.border:
        stages = compute_border_once(stages, conversion.border)
    return Network(card, stages, head, head_inputs=tuple(maps))


def name_for(classifier: str) -> str:
    """The name of a classifier's network with the finest map, of stride 8."""
    return f"fcn8s_{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`fcn8s_resnet18` and the like: any classifier, its finest scored map of stride 8, 16, 32 or what else it has,
    padded evenly; None for other names. The classifier is built for its published input size.
    """
    match = _NAME.fullmatch(name)
    if not match or match[4]:
        return None
    return _variant(name, find(match[2]), Conversion(int(match[1]), dilated=bool(match[3])))


def _build(
    base: Variant, conversion: Conversion, card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    del size  # any
    classifier = base.build(base.card, classes, channels, base.card.input[1:])
    return fully_convolutional_network(card, classifier, classes, conversion)


def _variant(
    name: str, base: Variant, conversion: Conversion, counts: tuple[int, int] | tuple[None, None] = (None, None)
) -> Variant:
    card = Card(
        name=name,
        title="Fully convolutional networks for semantic segmentation",
        authors="Long, Shelhamer, Darrell",
        year=2015,
        venue="CVPR 2015",
        address="https://arxiv.org/abs/1411.4038",
        input=(base.card.input[0], 500, 500),
        classes=21,
        minimum=1,
        parameters=counts[0],
        macs=counts[1],
        output="pixels",
        classifier=base.card.name,
    )
    return Variant(card, partial(_build, base, conversion))


_CLASSIFIERS = {variant.card.name: variant for paper in (alexnet, vgg, googlenet) for variant in paper.VARIANTS}
_VGG16 = _CLASSIFIERS["vgg16"]
_AT_ONCE = Conversion(8, BORDER, scales=AT_ONCE, learned=False)
VARIANTS = (
    _variant("fcn32s_alexnet", _CLASSIFIERS["caffenet"], Conversion(32, BORDER, 63), (58_704_590, 21_424_487_968)),
    _variant("fcn32s_vgg16", _VGG16, Conversion(32, BORDER), (136_152_917, 181_365_854_976)),
    _variant("fcn16s_vgg16", _VGG16, Conversion(16, BORDER), (134_815_994, 181_448_086_272)),
    _variant("fcn8s_vgg16", _VGG16, Conversion(8, BORDER), (134_489_759, 181_529_034_048)),
    _variant("fcn8s_vgg16_atonce", _VGG16, _AT_ONCE, (134_489_759, 181_529_034_048)),
    _variant("fcn32s_googlenet", _CLASSIFIERS["googlenet"], Conversion(32), (7_801_413, 8_545_588_480)),
)
