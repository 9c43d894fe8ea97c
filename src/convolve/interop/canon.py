"""Whether a network of another program is one of ours: the same layers, and the same outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convolve import models
from convolve.errors import ConvolveError, WeightsError
from convolve.interop.matching import Unit, match, orders, units_in, units_of
from convolve.models import Card, Network
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import tensor_names, variant_of
from convolve.models.weights import check_numbers

TOLERANCE = 1e-4
"""How far outputs may be apart, as part of the largest one."""
_APART = 0.01
"""By how many parameters, as a part of all, the same layers may differ: biases that only one of two networks has."""


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
    for key, path in names.items():
        value, shape = tensors.get(key), own[path].shape
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
        state[path] = value
    check_numbers(own, state)
    network.load_state_dict(state, strict=False)
    return network.eval()


def find_twin(definition: NetworkDefinition, tensors: Mapping[str, Tensor], network: Network) -> Twin | None:
    """The network of ours that has the same layers in some order; of several, the one whose outputs are nearest.

    ``network`` is that of the definition, with its tensors.
    """
    given = [units_of(definition, tensors, order) for order in orders(definition)]
    found = [twin for card in _candidates(network) if (twin := _try(card, given, network)) is not None]
    return min(found, key=lambda twin: twin.difference, default=None)


def _candidates(network: Network) -> Iterator[Card]:
    """The networks of ours that have about as many parameters, for as many classes, by their cards."""
    card = network.card
    parameters = sum(value.numel() for value in network.parameters())
    of_class = [value.numel() // card.classes for value in network.parameters() if len(value) == card.classes][-2:]
    for name in models.names():
        own = models.card(name)
        expected = parameters + (own.classes - card.classes) * sum(of_class)
        if own.output == card.output == "image" and abs((own.parameters or 0) - expected) <= _APART * expected:
            yield own


def _try(card: Card, given: Sequence[Sequence[Unit]], network: Network) -> Twin | None:
    """The network of a card with the tensors, which are ``given`` in several orders; None where they do not fit."""
    shape = network.card.input
    options = (card.name, network.card.classes, shape[0], shape[1:])
    try:
        with torch.device("meta"):
            own = units_in(models.create(*options))
    except ConvolveError:  # not for this size, or number of classes
        return None
    count = sum(len(unit.tensors) for unit in own)
    twins = []
    for units in given:
        state = match(own, units) if len(units) == len(own) else {}
        if len(state) == count:
            twin = models.create(*options)
            twin.load_state_dict(state, strict=False)
            twins.append(Twin(twin.eval(), _difference(twin.eval(), network.eval(), shape)))
    return min(twins, key=lambda twin: twin.difference, default=None)


def _difference(twin: Network, network: Network, shape: tuple[int, int, int]) -> float:
    """How far outputs are apart for random images, as part of the largest one."""
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.inference_mode():
        ours, theirs = twin(images), network(images)
    return float((ours - theirs).abs().max()) / (float(theirs.abs().max()) or 1.0)
