"""Weights in Darknet's `.weights` files, which are numbers without names or shapes: their count shows which network
they are of, and they are in the order of its layers.

Of each layer a file holds biases, with batch normalization scales, means and variances, and weights, in this order; a
connected layer's weights come before the scales. With batch normalization the biases are those of the normalization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from convolve.errors import WeightsError
from convolve.layers.darknet import LocallyConnected2d
from convolve.models import Card, Network, create
from convolve.models.weights import load_weights
from convolve.values import Preprocessing

SUFFIX = ".weights"
NUMBERS = "darknet"
"""The name under which a file's numbers are in a state dict, before they are translated to a network's own names."""
ALL_FIT = "all of them fit"
"""What is said where all weights of a network are loaded."""
_MOST_CLASSES = 10_000
_Layer = Mapping[str, Tensor]
"""A layer's values by name, in the order of the file."""


def darknet_state(network: Network, numbers: Tensor, file: str) -> dict[str, Tensor]:
    """The numbers (N,) of a ``file`` under a network's own names: all of its layers, or the first ones if the file ends
    with one. Other buffers, such as anchors, are the network's own.

    Where the file is for another number of classes, the layers that give their scores have other shapes than the
    network's; where it is of the classifier that the network is made of, those after the stages have other names.
    Raises `WeightsError`.
    """
    own = _layers(network)
    held = {name for layer in own for name in layer}
    state = {name: value for name, value in network.state_dict().items() if name not in held}
    values = {
        name: value for layer in _fitting_layers(network, own, len(numbers), file) for name, value in layer.items()
    }
    parts = torch.split(numbers, [value.numel() for value in values.values()])
    state |= {name: part.view(value.shape) for (name, value), part in zip(values.items(), parts, strict=True)}
    for name, value in state.items():
        if name.endswith(".running_var") and (value < 0).any():
            raise WeightsError(f"{file} would give '{name}' negative variances; it belongs to another network.")
    return state


def load_numbers(network: Network, numbers: Tensor, file: str) -> str:
    """Load what fits of the numbers of a ``file``, and say what that is. Raises `WeightsError`."""
    state = darknet_state(network, numbers, file)
    initialized = load_weights(network, state, partial=True)
    if not initialized:
        return ALL_FIT
    loaded, layers = {*state} - {*initialized}, _layers(network)
    count = sum(all(name in loaded for name in layer) for layer in layers)
    return f"{count} of {len(layers)} layers; the others are randomly initialized"


def preprocessing_of(card: Card) -> Preprocessing:
    """What Darknet's networks are given: values from 0 to 1, as they are."""
    channels, height, width = card.input
    return Preprocessing(height, width, channels, "stretch", (0.0,) * channels, (1.0,) * channels)


def _fitting_layers(network: Network, own: Sequence[_Layer], count: int, file: str) -> Sequence[_Layer]:
    """The layers that have ``count`` numbers: all of the network's or of its classifier's, for some number of classes,
    or else the first ones.
    """
    names = [name for name in (network.card.name, network.card.classifier) if name]
    choices = [own, *(_layers_by_count(name, count) for name in names)]
    for layers in choices:
        if count == _numbers_in(layers):
            return layers
    for layers in choices:
        ends = list(accumulate(_numbers_in([layer]) for layer in layers))
        if count in ends:
            return layers[: ends.index(count) + 1]
    raise WeightsError(
        f"{file} holds {count:,} numbers, and the {len(own)} layers of {network.card.name} have "
        f"{_numbers_in(own):,}; it belongs to another network, or is cut short."
    )


def _layers_by_count(name: str, count: int) -> Sequence[_Layer]:
    """The layers of a network for as many classes as makes them have ``count`` numbers, if there is such a number, or
    else for one class.
    """
    with torch.device("meta"):
        one, two = (_layers(create(name, classes)) for classes in (1, 2))
        more, remainder = divmod(count - _numbers_in(one), _numbers_in(two) - _numbers_in(one))
        return one if remainder or not 0 < more < _MOST_CLASSES else _layers(create(name, 1 + more))


def _numbers_in(layers: Sequence[_Layer]) -> int:
    return sum(value.numel() for layer in layers for value in layer.values())


def _layers(network: Network) -> list[_Layer]:
    """The layers with weights, in the order of the network. Raises `WeightsError` where Darknet has no such layer."""
    modules = [(name, module) for name, module in network.named_modules() if [*module.parameters(recurse=False)]]
    layers: list[_Layer] = []
    for (name, module), (after, norm) in pairwise([*modules, ("", nn.Identity())]):
        if isinstance(module, nn.BatchNorm2d) and layers:
            continue
        if not isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected2d):
            raise WeightsError(f"{network.card.name} has layers that Darknet does not have; choose other weights.")
        weight = {f"{name}.weight": module.weight}
        if not isinstance(norm, nn.BatchNorm2d):
            layers.append({**({} if module.bias is None else {f"{name}.bias": module.bias}), **weight})
            continue
        bias, scales = {f"{after}.bias": norm.bias}, {f"{after}.weight": norm.weight}
        scales |= {f"{after}.{key}": getattr(norm, key) for key in ("running_mean", "running_var")}
        layers.append({**bias, **weight, **scales} if isinstance(module, nn.Linear) else {**bias, **scales, **weight})
    return layers
