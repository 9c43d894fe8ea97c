"""Fully convolutional networks: a classifier's dense layers become convolutions, and skips bring back the detail.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", figures 2 and 3; Shelhamer,
Long, Darrell 2016, the journal's version, section 4; the authors' definitions.

fcn8s_vgg16 at 3x1x1: stage1 64x100x100, stage2 128x50x50, stage3 256x25x25, stage4 512x13x13, stage5 512x7x7, stage6 4096x1x1
fcn32s_googlenet at 3x500x500: stage1 64x250x250, stage2 192x125x125, stage3 480x63x63, stage4 832x32x32, stage5 1024x16x16

The 32s, 16s and 8s networks read one, two and three maps. As published the first convolution pads by 100, and what
that adds is cut off again where maps of two strides meet and from the scores; where, follows from the centers of the
maps' units. What is alike in that border is computed once (`layers.border`); the cards' multiply-adds count all of it.
A name that ends in `_same`, and that of any classifier without a published reading (`fcn16s_resnet18`), means the other
reading: every layer pads so that its map covers the image evenly. Before it, `_dilated` takes strides above the finest
out of the classifier instead of reading finer maps (`fcn8s_resnet50_dilated`).

The paper trained 32s, then 16s from its weights, then 8s: parameters have the same names in all three. `_atonce` trains
8s directly, with pool4 scaled by 0.01 and pool3 by 0.0001 and all upsampling fixed, as its definition has it. The
paper learns the upsampling between maps and fixes the last; its definitions fix all.

Deviations: the authors left no definition of FCN-GoogLeNet, which is read evenly here. FCN-AlexNet is CaffeNet, as in
the definition.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from convolve.errors import NetworkError
from convolve.layers.skips import Read, Skips
from convolve.models import alexnet, googlenet, vgg
from convolve.models.convolutional import border_once, bordered, convolutional_stages, dilated, evenly
from convolve.models.network import Card, Network, Variant

BORDER = 100
"""What the first convolution of the published networks pads by."""
AT_ONCE = {8: 0.0001, 16: 0.01}
"""What maps are multiplied by, by their stride, where no coarser network was trained before."""
_NAME = re.compile(r"fcn(\d+)s_(.+?)(_dilated)?(?:_same|(_atonce))?")


@dataclass(frozen=True)
class Reading:
    """How a classifier is read: the ``stride`` of the finest map; the ``border`` that the first convolution pads by (0:
    every layer pads to cover the image evenly); the ``kernel`` of the last upsampling, twice the stride unless given;
    the ``scales`` of maps by their stride; whether upsampling between maps is ``learned``; whether stages of larger
    strides are ``dilated`` to this one.
    """

    stride: int
    border: int = 0
    kernel: int | None = None
    scales: Mapping[int, float] | None = None
    learned: bool = True
    dilated: bool = False


def fully_convolutional(card: Card, network: Network, classes: int, reading: Reading) -> Network:
    """The classifier, taken over, made to answer for every pixel: its dense layers but the last become convolutions,
    with the same weights. Raises `NetworkError` where no map has the asked stride or a layer cannot be taken over.
    """
    name = network.card.name
    stages = convolutional_stages(network)
    if reading.dilated:
        stages = dilated(stages, reading.stride)
    centers = bordered(stages, reading.border) if reading.border else evenly(stages)
    finest = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    if reading.stride not in finest:
        strides = ", ".join(map(str, finest))
        raise NetworkError(f"{name} has no map of stride {reading.stride}, only of {strides}; choose one of those.")
    scales = reading.scales or {}
    maps = {
        name: Read(stages[name].channels, stride, centers[name], scales.get(stride, 1.0))
        for stride, name in sorted(finest.items())
        if stride >= reading.stride
    }
    head = Skips(classes, maps, reading.kernel, learned=reading.learned)
    if reading.border:
        stages = border_once(stages, reading.border)
    return Network(card, stages, head, head_inputs=tuple(maps))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`fcn8s_resnet18` and the like: any classifier, its finest map of stride 8, 16, 32 or what else it has, read
    evenly; None for other names. The classifier is made at its published size.
    """
    match = _NAME.fullmatch(name)
    if not match or match[4]:
        return None
    return _variant(name, find(match[2]), Reading(int(match[1]), dilated=bool(match[3])))


def classifier(name: str) -> str | None:
    """The name of the classifier that a network of this file is made of; None for names of other networks."""
    match = _NAME.fullmatch(name)
    return match[2] if match else None


def _build(base: Variant, reading: Reading, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    classifier = base.build(base.card, classes, channels, base.card.input[1:])
    return fully_convolutional(card, classifier, classes, reading)


def _variant(
    name: str, base: Variant, reading: Reading, counts: tuple[int, int] | tuple[None, None] = (None, None)
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
    return Variant(card, partial(_build, base, reading))


_CLASSIFIERS = {variant.card.name: variant for paper in (alexnet, vgg, googlenet) for variant in paper.VARIANTS}
_VGG16 = _CLASSIFIERS["vgg16"]
_AT_ONCE = Reading(8, BORDER, scales=AT_ONCE, learned=False)
VARIANTS = (
    _variant("fcn32s_alexnet", _CLASSIFIERS["caffenet"], Reading(32, BORDER, 63), (58_704_590, 21_424_487_968)),
    _variant("fcn32s_vgg16", _VGG16, Reading(32, BORDER), (136_152_917, 181_365_854_976)),
    _variant("fcn16s_vgg16", _VGG16, Reading(16, BORDER), (134_815_994, 181_448_086_272)),
    _variant("fcn8s_vgg16", _VGG16, Reading(8, BORDER), (134_489_759, 181_529_034_048)),
    _variant("fcn8s_vgg16_atonce", _VGG16, _AT_ONCE, (134_489_759, 181_529_034_048)),
    _variant("fcn32s_googlenet", _CLASSIFIERS["googlenet"], Reading(32), (7_801_413, 8_545_588_480)),
)
