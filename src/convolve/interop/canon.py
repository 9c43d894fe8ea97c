"""Whether a network of another program is one of ours: the same layers, and the same outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from convolve import models
from convolve.errors import ConvolveError, WeightsError
from convolve.interop.matching import match, orders, units_in, units_of
from convolve.models import Card, Network
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import tensor_names, variant_of
from convolve.models.weights import check_numbers

TOLERANCE = 1e-4
"""How far outputs may be apart, as part of the largest one."""
_STATISTICS = (".running_mean", ".running_var")
_BIASES, _MOST_FEATURES = 0.01, 25_089
"""Of parameters: biases that only one of two networks has, as a part of all; and at most those of one class more."""


@dataclass(frozen=True)
class Twin:
    """A network of ours with the same layers as one of another program, with its weights, and how far outputs are
    apart, as part of the largest one.
    """

    network: Network
    difference: float

    @property
    def equal(self) -> bool:
        """Whether it computes the same."""
        return self.difference <= TOLERANCE


def load_definition(name: str, definition: NetworkDefinition, tensors: Mapping[str, Tensor]) -> Network:
    """The network of a definition with its tensors. Raises `NetworkError`, `WeightsError`."""
    variant = variant_of(name, definition)
    network = variant.build(variant.card, variant.card.classes, definition.input[0], definition.input[1:])
    own, names, state = network.state_dict(), tensor_names(definition, network), {}
    for key, place in names.items():
        value, shape = tensors.get(key), own[place].shape
        if value is None:
            raise WeightsError(f"{name} has no values of '{key}'; give the file that holds them too.")
        if value.numel() == 1 and value.shape != shape:  # one slope for all channels
            value = value.reshape(1).expand(shape).clone()
        if value.shape != shape:
            shapes = ["x".join(map(str, each)) for each in (value.shape, shape)]
            raise WeightsError(
                f"'{key}' is {shapes[0]} in the weights and must be {shapes[1]} in {name}; the files belong to "
                "different networks, or the input has another size."
            )
        state[place] = value
    check_numbers(own, state)
    network.load_state_dict(state, strict=False)
    return network.eval()


def find_twin(definition: NetworkDefinition, tensors: Mapping[str, Tensor], network: Network) -> Twin | None:
    """The network of ours that has the same layers in some order; of several, the one whose outputs are nearest.

    ``network`` is that of the definition, with its tensors.
    """
    twins = []
    values = sum(value.numel() for key, value in tensors.items() if not key.endswith(_STATISTICS))
    for card in _candidates(network.card, values):
        for order in orders(definition):
            twin = _try(card, definition, tensors, order, network)
            if twin is not None:
                twins.append(twin)
                break
    return min(twins, key=lambda twin: twin.difference, default=None)


def _candidates(card: Card, values: int) -> Iterator[Card]:
    """The networks that may have about as many parameters, by their cards."""
    for name in models.names():
        own = models.card(name)
        other_classes = abs(own.classes - card.classes) * _MOST_FEATURES
        apart = abs((own.parameters or 0) - values)
        if own.output == card.output == "image" and apart <= values * _BIASES + other_classes:
            yield own


def _try(
    card: Card, definition: NetworkDefinition, tensors: Mapping[str, Tensor], order: list[str], network: Network
) -> Twin | None:
    given = units_of(definition, tensors, order)
    size = definition.input[1:]
    try:
        with torch.device("meta"):
            skeleton = models.create(card.name, network.card.classes, definition.input[0], size)
    except ConvolveError:  # another size, or another number of classes
        return None
    own = units_in(skeleton)
    if len(own) != len(given) or len(match(own, given)) != sum(len(unit.tensors) for unit in own):
        return None
    twin = models.create(card.name, network.card.classes, definition.input[0], size)
    twin.load_state_dict(match(own, given), strict=False)
    images = torch.rand(2, *definition.input, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.inference_mode():
        ours, theirs = twin.eval()(images), network.eval()(images)
    largest = float(theirs.abs().max()) or 1.0
    return Twin(twin, float((ours - theirs).abs().max()) / largest)
