"""Tensors of one network in another one that has the same layers under other names: by their order and shapes.

A file's batch normalization may be two layers, one that normalizes and one that scales; a convolution before it may
have a bias, which is one with the mean that is subtracted; and what is added to the variance may differ. All of that is
brought to the form that the other network has, in which it computes the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from convolve.errors import WeightsError
from convolve.models import Network
from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition
from convolve.models.weights import load_weights

ALL_BY_ORDER = "all of them fit, by the order and the shapes of the layers"
"""What is said where the whole network is loaded."""
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class Unit:
    """The tensors of a layer, by `weight`, `bias`, `running_mean` and `running_var`; ``eps`` of a normalization."""

    name: str
    tensors: Mapping[str, Tensor]
    eps: float | None = None


def units_of(definition: NetworkDefinition, tensors: Mapping[str, Tensor], order: Sequence[str]) -> list[Unit]:
    """The layers with tensors, in an ``order`` of all layers' names."""
    layers = {layer.name: layer for layer in definition.layers}
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, kind = key.rpartition(".")
        found.setdefault(name, {})[kind] = value
    units: dict[str, Unit] = {}
    for name in order:
        layer, own = layers[name], found.get(name)
        if own is None:
            continue
        source = layer.inputs[0]
        norm = units.get(source)
        if layer.kind == "scale" and norm is not None and norm.eps is not None and "weight" not in norm.tensors:
            bias = own.get("bias", torch.zeros_like(own["weight"]))
            units[source] = replace(norm, tensors={**norm.tensors, "weight": own["weight"], "bias": bias})
            continue
        units[name] = Unit(name, own, layer.number("eps") if layer.kind == "batch_norm" else None)
    return list(units.values())


def orders(definition: NetworkDefinition) -> Iterator[list[str]]:
    """Orders in which other networks may have the same layers: that of the file, and those in which each branch is
    gone through to its end, the first or the last one first.
    """
    yield [layer.name for layer in definition.layers]
    layers = {layer.name: layer for layer in definition.layers}
    for backwards in (False, True):
        found: dict[str, None] = {}
        for output in definition.outputs:
            _visit(output, layers, found, backwards=backwards)
        yield [*found, *(name for name in layers if name not in found)]


def _visit(output: str, layers: Mapping[str, LayerDefinition], found: dict[str, None], *, backwards: bool) -> None:
    """Add a layer's name after those of all that it needs."""
    waiting = [(output, False)]
    while waiting:
        name, ready = waiting.pop()
        if name == IMAGE or name in found:
            continue
        if ready:
            found[name] = None
            continue
        waiting.append((name, True))
        inputs = layers[name].inputs
        waiting += [(source, False) for source in (inputs if backwards else inputs[::-1])]


def units_in(network: Network) -> list[Unit]:
    """The layers of a network that have tensors, in its own order, under their names in its state."""
    units = []
    for name, module in network.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
        own = {key: value for key, value in own.items() if f"{name}.{key}" in network.state_dict()}
        own.pop("num_batches_tracked", None)
        if own:
            units.append(Unit(name, own, module.eps if isinstance(module, _NORMS) else None))
    return units


def units_by_name(tensors: Mapping[str, Tensor], eps: float = math.nan) -> list[Unit]:
    """The layers of a network of which only the tensors are known, in the order of the file; ``eps`` is added to the
    variances in it, the same as in any other network unless given.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, kind = key.rpartition(".")
        if kind != "num_batches_tracked":
            found.setdefault(name, {})[kind] = value
    units: list[Unit] = []
    for name, own in found.items():
        before = units[-1] if units else None
        scales = before is not None and before.eps is not None and "weight" not in before.tensors
        if before is not None and scales and own["weight"].shape == before.tensors["running_mean"].shape:
            bias = own.get("bias", torch.zeros_like(own["weight"]))
            units[-1] = replace(before, tensors={**before.tensors, "weight": own["weight"], "bias": bias})
        else:
            units.append(Unit(name, own, eps if "running_mean" in own else None))
    return units


def load_by_order(network: Network, layers: Sequence[Sequence[Unit]]) -> str:
    """Load what fits of the ``layers`` of another network, which are given in several orders, by their order and
    shapes, and say what that is.

    Those are all layers of the other network, or all but its last one, or at least those of all stages; otherwise it
    is another network, which raises `WeightsError`.
    """
    own = units_in(network)
    stages = sum(unit.name.startswith("stages.") for unit in own)
    best: tuple[int, dict[str, Tensor]] = (0, {})
    for given in layers:
        state = match(own, given)
        loaded = sum(f"{unit.name}.{key}" in state for unit in own for key in [next(iter(unit.tensors))])
        best = max(best, (loaded, state), key=lambda found: found[0])
    loaded, state = best
    count = len(layers[0])
    if loaded < max(1, min(count - 1, stages or count)):
        raise WeightsError(
            f"The weights have {count} layers, of which {loaded} follow one another as in {network.card.name}, which "
            f"has {len(own)}; they belong to another network."
        )
    load_weights(network, state, partial=True)
    if loaded == len(own):
        return ALL_BY_ORDER
    return f"{loaded} of {len(own)} layers, by their order and shapes; the others are randomly initialized"


def match(own: Sequence[Unit], given: Sequence[Unit]) -> dict[str, Tensor]:
    """The given tensors under the names of a network's ``own``, as far as the layers have the same shapes from the
    first one on.
    """
    state: dict[str, Tensor] = {}
    for index, (unit, other) in enumerate(zip(own, given, strict=False)):
        before = given[index - 1] if index else None
        after = own[index + 1] if index + 1 < len(own) else None
        tensors = _fit(unit, other, before if index and "bias" not in own[index - 1].tensors else None, after)
        if tensors is None:
            break
        state |= {f"{unit.name}.{key}": value for key, value in tensors.items()}
    return state


def _fit(unit: Unit, other: Unit, before: Unit | None, after: Unit | None) -> dict[str, Tensor] | None:
    """The tensors of one layer in the form that another one has; None where their shapes differ.

    ``before`` is the given layer before it, whose bias has no place of its own; ``after`` the own one after it.
    """
    tensors = dict(other.tensors)
    if (unit.eps is None) != (other.eps is None):
        return None
    if unit.eps is not None and other.eps is not None and "running_var" in tensors:
        if other.eps != unit.eps and not math.isnan(other.eps):
            tensors["running_var"] = tensors["running_var"] + (other.eps - unit.eps)
        if before is not None and before.eps is None and "bias" in before.tensors:
            tensors["running_mean"] = tensors["running_mean"] - before.tensors["bias"]
        count = len(tensors["running_mean"])
        for key, value in {"weight": torch.ones(count), "bias": torch.zeros(count)}.items():
            if key in unit.tensors:
                tensors.setdefault(key, value)
    elif "bias" in tensors and "bias" not in unit.tensors and after is not None and after.eps is not None:
        del tensors["bias"]
    if tensors.keys() != unit.tensors.keys():
        return None
    return _same_shapes(unit, tensors)


def _same_shapes(unit: Unit, tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    fitting: dict[str, Tensor] = {}
    for key, value in tensors.items():
        shape = unit.tensors[key].shape
        dense = key == "weight" and value.shape[:1] == shape[:1] and value.numel() == shape.numel() and len(shape) > 1
        if value.shape != shape and not (dense and (value.ndim == 2 or len(shape) == 2)):
            return None
        fitting[key] = value.reshape(shape)
    return fitting
