"""A detection network for a few hundred images and a few minutes on a processor, put together from published parts.

yolo_compact at 3x320x320: stage1 32x160x160, stage2 48x80x80, stage3 96x40x40, stage4 160x20x20, stage5 224x10x10
yolo_compact at 3x224x352: stage1 32x112x176, stage2 48x56x88, stage3 96x28x44, stage4 160x14x22, stage5 224x7x11

Stages: a convolution, then residual blocks of two 3x3 convolutions, the first of which halves the map (He et al. 2015,
"Deep residual learning for image recognition", figure 5, left). Few wide layers, since on a processor each layer costs
time of its own. The head adds the coarse maps to the one of stride 8 (Lin et al. 2017, "Feature pyramid networks for
object detection") and there gives one box and one score for each class at each position, as YOLOX does; see
`layers.yolo_compact` for what they mean and how they are learned. Sides may be any multiples of 32.

`yolo_compact_NAME` puts this head on the stages of any other classifier, evenly padded, that has a map of stride 8:
`yolo_compact_resnet18`, so that it can begin with pretrained weights. It reads the last map of each stride from 8 on.

Deviations: YOLOX has heads of its own at strides 8, 16 and 32, and a score for any object; here one map is for objects
of all sizes, and the scores of the classes suffice, as in TOOD.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.initializers import he_normal
from convolve.layers.yolo_compact import CompactLayers, CompactOutput
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.resnet import basic
from convolve.models.yolo_family import even_stages

STRIDE = 8
"""Of the map that has the boxes."""
STEM = 32
BLOCKS = ((48, 1), (96, 2), (160, 2), (224, 2))  # channels and residual blocks of stages 2 to 5
WIDTH = 96
"""Channels of the head's layers."""
LEARNING_RATE = 0.002
"""With the usual rate one of three seeds hardly learned the rarest class of BCCD in 64 epochs."""
_NAME = re.compile(r"yolo_compact_(.+)")


def _stages(channels: int) -> dict[str, Stage]:
    stem = OrderedDict(
        conv1=nn.Conv2d(channels, STEM, 3, 2, padding=1, bias=False),
        norm1=nn.BatchNorm2d(STEM),
        relu1=nn.ReLU(inplace=True),
    )
    stages, channels = {"stage1": Stage(nn.Sequential(stem), STEM, 2)}, STEM
    for number, (width, count) in enumerate(BLOCKS, 2):
        layers = OrderedDict[str, nn.Module]()
        for index in range(1, count + 1):
            layers[f"block{number}_{index}"] = basic(channels, width, 2 if index == 1 else 1)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), width, 2**number)
    return stages


def _with_head(card: Card, stages: Mapping[str, Stage], classes: int) -> Network:
    """The stages with a head on the last map of each stride from 8 on."""
    names = {stage.stride: name for name, stage in stages.items() if stage.stride >= STRIDE}
    layers = CompactLayers([stages[name].channels for name in names.values()], WIDTH, classes)
    head = ConvolutionalBoxHead(layers, CompactOutput(STRIDE), max(names))
    return Network(card, stages, head, head_inputs=tuple(names.values()))


def _yolo_compact(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = _stages(channels)
    for stage in stages.values():
        stage.layers.apply(he_normal)
    return _with_head(card, stages, classes)


def _on_classifier(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "yolo_compact_resnet18")
    if all(stage.stride != STRIDE for stage in stages.values()):
        raise NetworkError(
            f"{base.card.name} has no map of stride {STRIDE}; choose yolo_v2_{base.card.name} or another classifier."
        )
    return _with_head(card, stages, classes)


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`yolo_compact_resnet18` and the like: the head on any classifier; None for other names. The classifier is built
    for its published input size.
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
        title="A compact detection network without anchors",
        authors="after Ge et al. 2021 and Feng et al. 2021",
        year=2021,
        venue="arXiv",
        address="https://arxiv.org/abs/2107.08430",
        input=(channels, 320, 320),
        classes=20,
        minimum=32,
        parameters=counts[0],
        macs=counts[1],
        output="boxes",
        classifier=classifier,
        multiple=32,
        learning_rate=None if classifier else LEARNING_RATE,
    )


VARIANTS = (Variant(_card("yolo_compact", 3, "", (3_193_368, 1_659_084_800)), _yolo_compact),)
