"""Simple baselines for human pose estimation: transposed convolutions on a ResNet.

Xiao, Wu, Wei 2018, "Simple baselines for human pose estimation and tracking", section 2, figure 1 and table 2; the
authors' definition (pose_resnet.py).

simple_baseline_resnet50 at 3x256x192: stage1 64x128x96, stage2 256x64x48, stage3 512x32x24, stage4 1024x16x12, stage5 2048x8x6
simple_baseline_resnet18 at 3x64x96: stage1 64x32x48, stage2 64x16x24, stage3 128x8x12, stage4 256x4x6, stage5 512x2x3

Three transposed convolutions of 4x4, 256 channels and stride 2, each with normalization and ReLU, enlarge the last map
to a quarter of the image's side; a convolution of 1x1 gives a heatmap for each point. The ResNets are those whose 3x3
convolutions halve the map (`resnet50_v1_5`), as PyTorch's do. `simple_baseline_NAME` puts this head on any other
classifier, evenly padded, whose last map has a stride of at least 4; as many convolutions as are needed enlarge it.

Training: Adam with a learning rate of 1e-3, mean squared error to Gaussians of 2 cells (section 4).
"""  # noqa: E501

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.point_head import PointHead
from convolve.models import resnet
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.yolo_family import even_stages

WIDTH = 256
STRIDE = 4
"""Pixels of the image for each cell of a heatmap."""
_DEVIATION = 0.001  # of the head's weights at first
_NAME = re.compile(r"simple_baseline_(.+)")
_RESNETS = {variant.card.name: variant for variant in resnet.VARIANTS}


def name_for(classifier: str) -> str:
    """The name of a classifier's network for points."""
    return f"simple_baseline_{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`simple_baseline_resnet20_cifar` and the like: any classifier, built for its published input size; None for other
    names.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return None
    base = find(match[1])
    return Variant(_card(name, base), partial(_on_classifier, base))


def enlarging_layers(channels: int, stride: int, points: int) -> nn.Sequential:
    """Transposed convolutions from a map of a stride to `STRIDE`, and the heatmaps.

    (N, channels, H, W) give (N, points, H stride / 4, W stride / 4).
    """
    layers = OrderedDict[str, nn.Module]()
    number = 0
    while stride > STRIDE:
        stride, number = stride // 2, number + 1
        layers[f"deconv{number}"] = nn.ConvTranspose2d(channels, WIDTH, 4, 2, padding=1, bias=False)
        layers[f"norm{number}"] = nn.BatchNorm2d(WIDTH)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
        channels = WIDTH
    layers["heatmaps"] = nn.Conv2d(channels, points, 1)
    head = nn.Sequential(layers)
    for layer in head:
        if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
            nn.init.normal_(layer.weight, std=_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return head


def _build(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    network = base.build(base.card, classes, channels, size)
    stages = {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }
    return _with_heatmaps(card, stages, classes)


def _on_classifier(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "simple_baseline_resnet18")
    return _with_heatmaps(card, stages, classes)


def _with_heatmaps(card: Card, stages: dict[str, Stage], classes: int) -> Network:
    name, last = list(stages.items())[-1]
    if last.stride < STRIDE or last.stride & (last.stride - 1):
        raise NetworkError(
            f"The last map of {card.classifier} has a stride of {last.stride}, and heatmaps need 4, 8, 16 or 32; "
            "choose another classifier."
        )
    head = PointHead(enlarging_layers(last.channels, last.stride, classes), last.stride)
    return Network(card, stages, head, head_inputs=(name,))


def _card(name: str, base: Variant, counts: tuple[int, int] | tuple[None, None] = (None, None)) -> Card:
    return Card(
        name=name,
        title="Simple baselines for human pose estimation and tracking",
        authors="Xiao, Wu, Wei",
        year=2018,
        venue="ECCV 2018",
        address="https://arxiv.org/abs/1804.06208",
        input=(base.card.input[0], 256, 192),
        classes=17,
        minimum=32,
        multiple=32,
        output="points",
        parameters=counts[0],
        macs=counts[1],
        classifier=base.card.name,
    )


def _variant(name: str, base: str, counts: tuple[int, int]) -> Variant:
    found = _RESNETS[base]
    return Variant(_card(name, found, counts), partial(_build, found))


VARIANTS = (
    _variant("simple_baseline_resnet18", "resnet18", (15_376_721, 2_897_215_488)),
    _variant("simple_baseline_resnet50", "resnet50_v1_5", (33_999_697, 5_426_380_800)),
    _variant("simple_baseline_resnet101", "resnet101_v1_5", (52_991_825, 9_062_842_368)),
    _variant("simple_baseline_resnet152", "resnet152_v1_5", (68_635_473, 12_699_303_936)),
)
