"""The head of class activation maps: global average pooling and one dense layer.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization", section 3.

vgg16 at 3x224x224 with it: stage5 512x14x14, then 1024 maps of 14x14, their means, and the classes' scores

The paper removes what shrinks the last map (AlexNet's and VGG's pool5, GoogLeNet's pool4 and all after it) and the
dense layers, then adds a 3x3 convolution with 1024 maps, whose means one dense layer turns into scores. The text gives
the convolution no groups; the authors' definitions divide it into two, which is followed here.

Deviations: the head is initialized by He's rule. Networks that the paper does not have are changed by the same rule: a
pooling that ends the last stage is removed, and so is a last stage that begins with one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.design import Design
from convolve.layers.initializers import he_normal
from convolve.layers.pooling import MinPool2d
from convolve.models.design import change_head
from convolve.models.network import Network, Stage

MAPS = 1024
GROUPS = 2
_POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, MinPool2d)


def with_gap(network: Network, classes: int, seed: int = 0) -> Network:
    """The network with the paper's head, sharing its stages; the head is randomly initialized from ``seed`` and has
    the network's own design.

    Raises `NetworkError` for a segmentation, detection or localization network, where there is no map to average, and
    where the last map is averaged already and no pooling shrinks it.
    """
    if network.card.output == "box":
        raise NetworkError(f"The box of {network.card.name} has a head of its own; leave out --gap.")
    if network.head_inputs or network.card.output == "coordinates":
        lost = "detection network, and an average over its map would lose the positions"
        if network.card.output == "pixels":
            lost = "segmentation network, and an average over its map would lose the pixels"
        elif network.card.output in ("points", "coordinates"):
            lost = "network for points, and an average over its map would lose the positions"
        raise NetworkError(f"{network.card.name} is a {lost}; leave out --gap.")
    stages = {
        name: Stage(network.stages[name], network.channels[name], network.strides[name]) for name in network.stages
    }
    card = replace(network.card, parameters=None, macs=None, top1_error=None, top5_error=None, evaluation="")
    remaining = _without_last_pooling(stages)
    averaged = any(isinstance(layer, nn.AdaptiveAvgPool2d) for layer in network.head.modules())
    if not any(True for stage in remaining.values() for _ in stage.layers.parameters()):
        raise NetworkError(f"{card.name} has no map to average except the image itself; leave out --gap.")
    if averaged and remaining == stages:
        raise NetworkError(f"{card.name} ends in global average pooling already; leave out --gap.")
    auxiliary = dict(network.auxiliary.items())
    channels = list(remaining.values())[-1].channels
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        pooled = Network(card, remaining, _head(channels, classes), auxiliary)
        return pooled if network.design == Design() else change_head(pooled, network.design)


def has_gap(state: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of a network with this head."""
    return {"head.conv.weight", "head.fc.weight"} <= state.keys()


def _head(channels: int, classes: int) -> nn.Module:
    groups = GROUPS if channels % GROUPS == 0 else 1
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels, MAPS, 3, padding=1, groups=groups),
            relu=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(MAPS, classes),
        )
    ).apply(he_normal)


def _without_last_pooling(stages: dict[str, Stage]) -> dict[str, Stage]:
    """Without the pooling that ends the last stage, or without a last stage that begins with one."""
    if not stages:
        return {}
    name, last = list(stages.items())[-1]
    parts = list(last.layers.named_children())
    if parts and isinstance(parts[0][1], _POOLINGS):
        return {other: stage for other, stage in stages.items() if other != name}
    if parts and isinstance(parts[-1][1], _POOLINGS):
        step = parts[-1][1].stride
        stride = last.stride // int(step[0] if isinstance(step, tuple) else step)
        return stages | {name: Stage(nn.Sequential(OrderedDict(parts[:-1])), last.channels, stride)}
    return stages
