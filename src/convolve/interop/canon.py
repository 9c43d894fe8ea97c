"""Whether a network of another program is one of ours: the same layers, and the same outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from convolve import models
from convolve.errors import ConvolveError, NetworkError, WeightsError
from convolve.interop.matching import Unit, match, orders, units_in, units_of
from convolve.models import Card, Network
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import tensor_names, variant_of, whole_graph
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
    _load(name, definition, tensors, network)
    return network.eval()


def _load(name: str, definition: NetworkDefinition, tensors: Mapping[str, Tensor], network: nn.Module) -> None:
    """Give the layers of a definition their tensors. Raises `WeightsError`."""
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


def find_restoration(name: str, definition: NetworkDefinition, tensors: Mapping[str, Tensor]) -> Network:
    """The network of ours for restoration that computes the same. Raises `WeightsError` where there is none."""
    given = [units_of(definition, tensors, order) for order in orders(definition)]
    for card in map(models.card, models.names()):
        if card.output == "restored" and card.input[0] == definition.input[0]:
            for network in _matches(card, card.classes, card.input, given):
                if _restores_alike(name, network, definition, tensors):
                    return network
    raise WeightsError(
        f"{name} computes what none of the networks for restoration does that `convolve networks` lists; convert its "
        "ONNX file to an export in its place."
    )


def _restores_alike(name: str, network: Network, definition: NetworkDefinition, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a network restores random images as a definition does."""
    shape = network.card.input
    try:
        graph = whole_graph(replace(definition, input=shape)).eval()
    except NetworkError:  # not for this size
        return False
    _load(name, definition, tensors, graph)
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    output = [layer.name for layer in definition.layers].index(definition.outputs[0])
    with torch.inference_mode():
        ours, theirs = network(images), graph([images])[output]
    ours = images + ours if network.card.residual else ours
    return ours.shape == theirs.shape and _apart(ours, theirs) <= TOLERANCE


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
    twins = [
        Twin(twin, _difference(twin, network.eval(), shape))
        for twin in _matches(card, network.card.classes, shape, given)
    ]
    return min(twins, key=lambda twin: twin.difference, default=None)


def _matches(
    card: Card, classes: int, shape: tuple[int, int, int], given: Sequence[Sequence[Unit]]
) -> Iterator[Network]:
    """The network of a card with the tensors in each of the orders in which they fit."""
    options = (card.name, classes, shape[0], shape[1:])
    try:
        with torch.device("meta"):
            own = units_in(models.create(*options))
    except ConvolveError:  # not for this size, or number of classes
        return
    count = sum(len(unit.tensors) for unit in own)
    for units in given:
        state = match(own, units) if len(units) == len(own) else {}
        if len(state) == count:
            network = models.create(*options)
            network.load_state_dict(state, strict=False)
            yield network.eval()


def _difference(twin: Network, network: Network, shape: tuple[int, int, int]) -> float:
    """How far outputs are apart for random images, as part of the largest one."""
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.inference_mode():
        return _apart(twin(images), network(images))


def _apart(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max()) / (float(theirs.abs().max()) or 1.0)
