"""What networks over regions have in common: a classifier in two parts, layers that read the whole image and layers
that read each region of it, and what is known of a paper's network on any classifier.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.initializers import he_normal
from convolve.models.convolutional import pad_evenly
from convolve.models.network import Card, Network, Stage, Variant

STRIDE = 16
"""Of the map that regions are read from: what is coarser in a classifier reads single regions."""
BINS = 7
"""Of regions that dense layers read, in both directions; a stage that halves its map reads twice as many."""
DENSE = 1024
"""Features of each of the two layers over regions where the classifier has nothing to read them with."""


Build = Callable[[Variant, Card, int, int, tuple[int, int]], Network]
"""Builds a network on a classifier: that, its own card, classes, channels, and the input's (height, width)."""


class SplitClassifier(NamedTuple):
    """The ``stages`` that read the image; the ``layers`` that read regions, ``bins`` x ``bins`` of the last stage's
    map, and give ``width`` features.
    """

    stages: dict[str, Stage]
    layers: nn.Sequential
    bins: int
    width: int


def variant_on(paper: Card, name: str, base: Variant, build: Build, parameters: int | None = None) -> Variant:
    """The network of a ``paper``, whose card says what is the same on all classifiers, on the classifier ``base``."""
    size = base.card.input[0], *paper.input[1:]
    card = replace(paper, name=name, input=size, classifier=base.card.name, parameters=parameters)
    return Variant(card, partial(build, base))


def build_classifier(base: Variant, channels: int, example: str, size: tuple[int, int] | None = None) -> Network:
    """The classifier for a ``size`` (height, width), its published input size by default. Raises `NetworkError` for a
    network that is no convolutional one.
    """
    network = base.build(base.card, base.card.classes, channels, size or base.card.input[1:])
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise NetworkError(f"{base.card.name} is not a convolutional classifier; name one that is, as in {example}.")
    return network


def split_classifier(base: Variant, channels: int, example: str) -> SplitClassifier:
    """Where a classifier has dense layers before its last one, they read regions, in place of the last pooling if its
    stages end in one. Else the last stage and the global pooling do, or where the stride of that stage is 16 or less,
    two new dense layers. The parts that read the image are padded evenly.
    """
    network = build_classifier(base, channels, example)
    stages = stages_of(network)
    hidden = hidden_layers(network)
    dense = [layer for layer in hidden.values() if isinstance(layer, nn.Linear)]
    last, stage = list(stages.items())[-1]
    if dense:
        stages[last], layers = without_last_pooling(stage), hidden
        bins, width = math.isqrt(dense[0].in_features // stage.channels), dense[-1].out_features
    elif stage.stride <= STRIDE:
        layers, bins, width = two_dense_layers(stage.channels), BINS, DENSE
    else:
        if len(stages) == 1:
            raise NetworkError(f"{base.card.name} has only one stage; name a deeper classifier, as in {example}.")
        del stages[last]
        layers = OrderedDict[str, nn.Module]({last: stage.layers, **hidden})
        bins, width = BINS * stage.stride // list(stages.values())[-1].stride, last_width(network)
        pad_evenly({last: stage})
    pad_evenly(stages)
    return SplitClassifier(stages, nn.Sequential(layers), bins, width)


def two_dense_layers(channels: int) -> OrderedDict[str, nn.Module]:
    """Two dense layers over `BINS` x `BINS` cells of a map."""
    layers = OrderedDict[str, nn.Module](
        flatten=nn.Flatten(),
        fc6=nn.Linear(channels * BINS**2, DENSE),
        relu6=nn.ReLU(inplace=True),
        fc7=nn.Linear(DENSE, DENSE),
        relu7=nn.ReLU(inplace=True),
    )
    nn.ModuleDict(layers).apply(he_normal)
    return layers


def stages_of(network: Network) -> dict[str, Stage]:
    """A network's stages."""
    return {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }


def hidden_layers(network: Network) -> OrderedDict[str, nn.Module]:
    """The layers of a classifier's head before the last one that learns, which gives the scores. Where that is a
    convolution over single positions, whose scores are averaged, the means of the maps that it reads take its place.
    """
    children, number = list(network.head.named_children()), _position_of_scores(network)
    layers = OrderedDict(children[:number])
    if isinstance(children[number][1], nn.Conv2d):
        layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return layers


def last_width(network: Network) -> int:
    """The features from which the last layer of a classifier that learns computes the scores."""
    scores = list(network.head.children())[_position_of_scores(network)]
    return scores.in_channels if isinstance(scores, nn.Conv2d) else cast(nn.Linear, scores).in_features


def _position_of_scores(network: Network) -> int:
    layers = list(network.head.children())
    learning = [number for number, layer in enumerate(layers) if any(True for _ in layer.parameters())]
    last = layers[learning[-1]] if learning else None
    if isinstance(last, nn.Linear) or (isinstance(last, nn.Conv2d) and last.kernel_size == (1, 1)):
        return learning[-1]
    raise NetworkError(
        f"The scores of {network.card.name} do not come from a dense layer or a 1x1 convolution in its head, which "
        "regions need; choose another classifier, such as resnet18."
    )


def without_last_pooling(stage: Stage) -> Stage:
    """The stage without the pooling at its end, if there is one, whose place that of regions takes."""
    children = list(stage.layers.named_children())
    last = children[-1][1] if children else None
    if not isinstance(stage.layers, nn.Sequential) or not isinstance(last, nn.MaxPool2d):
        return stage
    step = last.stride if isinstance(last.stride, int) else last.stride[0]
    return Stage(nn.Sequential(OrderedDict(children[:-1])), stage.channels, stage.stride // step)
