"""The stages of a classifier for a network that reads its last map."""

from __future__ import annotations

from torch import nn

from convolve.errors import NetworkError
from convolve.models.network import Stage, Variant


def stages_of(base: Variant, channels: int, size: tuple[int, int]) -> dict[str, Stage]:
    """The classifier's own stages. Raises `NetworkError` where none of them learns, as in a dense network."""
    height, width = (max(side, base.card.minimum) for side in size)  # which the classifier's own head needs
    network = base.build(base.card, base.card.classes, channels, (height, width))
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise NetworkError(f"{base.card.name} has no map of an image; choose a convolutional classifier.")
    return {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }


def before_pooling(stages: dict[str, Stage]) -> dict[str, Stage]:
    """The stages without the max pooling in which the last one ends, if it does."""
    name, last = list(stages.items())[-1]
    layers = list(last.layers.named_children())
    if not layers or not isinstance(layers[-1][1], nn.MaxPool2d):
        return stages
    halved = layers[-1][1].stride
    stride = halved if isinstance(halved, int) else halved[0]
    shorter = nn.Sequential()
    for layer, module in layers[:-1]:
        shorter.add_module(layer, module)
    return stages | {name: Stage(shorter, last.channels, last.stride // stride)}
