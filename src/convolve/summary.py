"""The layer table of a network: shapes, parameters, multiply-adds and receptive fields, without any arithmetic."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convolve.errors import NetworkError
from convolve.layers.border import BorderOnce
from convolve.layers.description import Leaf, describe
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.fields import Fields
from convolve.layers.region_head import RegionHead
from convolve.models import Network
from convolve.tracing import LayerRow, Tracer

_FLOAT_BYTES = 4
_AUXILIARY = "auxiliary."  # heads that help in training only, and that no image passes


@dataclass(frozen=True)
class Costs:
    """What one image costs in float32.

    ``macs`` are the multiply-adds of each call of a layer in forward order; ``activation_bytes`` counts every layer's
    output, except outputs that overwrite the input.
    """

    macs: tuple[int, ...]
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Summary:
    """A network's layers in forward order, and the totals.

    ``weight_bytes`` and ``activation_bytes`` are for float32; the latter counts every layer's output for one image,
    except outputs that overwrite the input. ``auxiliary`` are the layers of the heads that help in training only, which
    count in no total. ``statistics`` are the running means and variances of batch normalization, which no gradient
    changes. ``depth`` is the number of convolutions and dense layers, gates' left out, on the longest way through the
    network.
    """

    layers: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    auxiliary: tuple[LayerRow, ...] = ()
    statistics: int = 0
    depth: int = 0


def summarize(network: nn.Module, input: tuple[int, int, int]) -> Summary:  # noqa: A002
    """Follow one image (channels, height, width) through a copy of the network that has shapes but no values.

    The network itself is not changed. A layer is a module without submodules; one that is called again has a second
    row, without its parameters. All that is published counts, also what `BorderOnce` does not compute. Receptive fields
    follow the windows of convolutions and poolings; where branches meet, a unit's field covers those of all branches,
    and what is not a map any more sees no more than the image. Raises `NetworkError` when the network cannot take such
    an image.
    """
    trace = _follow(network, input, ())
    used = [parameter for name, parameter in network.named_parameters() if not name.startswith(_AUXILIARY)]
    return Summary(
        layers=trace.layers,
        parameters=sum(parameter.numel() for parameter in used),
        trainable=sum(parameter.numel() for parameter in used if parameter.requires_grad),
        macs=sum(trace.costs.macs),
        weight_bytes=trace.costs.weight_bytes,
        activation_bytes=trace.costs.activation_bytes,
        auxiliary=trace.auxiliary,
        statistics=sum(row.statistics for row in trace.layers),
        depth=trace.depth,
    )


def count_costs(skeleton: nn.Module, image: Tensor) -> Costs:
    """What an image (1, channels, height, width) costs in a network that has, like the image, shapes but no values.

    The network is in evaluation mode afterwards, and computes all that is published, also what `BorderOnce` does not.
    Raises `NetworkError` when it cannot take such an image.
    """
    macs: list[int] = []
    storages, activations = {image.untyped_storage()}, 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal activations
        description = describe(layer)
        leaf = description if isinstance(description, Leaf) else Leaf()
        # Every weight is used once at each position of the map, or of the rows of a dense layer's output.
        map_ = inputs[0] if leaf.transposed else output
        positions = output.shape[:-1] if leaf.kind == "dense" else (len(map_), *map_.shape[2:])
        macs.append(leaf.weights * math.prod(positions))
        if output.untyped_storage() not in storages:
            storages.add(output.untyped_storage())
            activations += output.numel()

    for module in skeleton.eval().modules():
        if isinstance(module, BorderOnce | TwoStageHead | RegionHead):
            module.compute_all()
        if not any(True for _ in module.children()):
            module.register_forward_hook(count)
    try:
        with torch.no_grad():
            skeleton(image)
    except (RuntimeError, ValueError) as error:
        size, reason = "x".join(map(str, image.shape[1:])), str(error).splitlines()[0]
        raise NetworkError(
            f"The network cannot take an input of {size}; choose one that fits it ({reason})."
        ) from error
    weights = (value for name, value in skeleton.named_parameters() if not name.startswith(_AUXILIARY))
    weight_bytes = _FLOAT_BYTES * sum(value.numel() for value in weights)
    return Costs(tuple(macs), weight_bytes, _FLOAT_BYTES * activations)


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Networks built inside this context have shapes but no values: nothing is initialized and no memory is used."""
    with torch.device("meta"), _NoInitialization():
        yield


def receptive_fields(
    network: nn.Module,
    input: tuple[int, int, int],  # noqa: A002
    names: Iterable[str],
) -> dict[str, Fields]:
    """The receptive fields (down, across) of the units in the output maps of the modules with these names, in pixels of
    an image (channels, height, width); see `summarize`.
    """
    return _follow(network, input, names).named_fields


class _Trace(NamedTuple):
    layers: tuple[LayerRow, ...]
    auxiliary: tuple[LayerRow, ...]
    costs: Costs
    named_fields: dict[str, Fields]
    depth: int


def _follow(network: nn.Module, shape: tuple[int, int, int], names: Iterable[str]) -> _Trace:
    """Trace an image through a copy whose tensors have shapes only, without the hooks of the original."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for parameter in network.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for module in network.modules():  # copying their many empty dictionaries would take half of the time
        shapes |= {id(value): type(value)() for value in vars(module).values() if isinstance(value, dict) and not value}
    skeleton = copy.deepcopy(network, shapes)
    for module in skeleton.modules():
        module._forward_hooks.clear()  # noqa: SLF001
        module._forward_pre_hooks.clear()  # noqa: SLF001
    image = torch.empty(1, *shape, device="meta")
    tracer = Tracer(image)
    tracer.attach(skeleton, names)
    read = _maps_of_auxiliary_heads(skeleton)
    with tracer:
        costs = count_costs(skeleton, image)
        layers = _with_macs(tracer.rows, costs)
        auxiliary: list[LayerRow] = []
        for name, map_ in read.items():
            tracer.rows = []
            counted = count_costs(skeleton.get_submodule(f"auxiliary.{name}"), map_)
            auxiliary += _with_macs(tracer.rows, counted)
    return _Trace(layers, tuple(auxiliary), costs, tracer.named_fields, tracer.depth)


def _maps_of_auxiliary_heads(skeleton: nn.Module) -> dict[str, Tensor]:
    """The map that each auxiliary head reads, by the head's name, once the network has run."""
    maps: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        del module, args
        maps[name] = output

    if isinstance(skeleton, Network):
        for stage in skeleton.stages.values():
            for name, layer in stage.named_children():
                if name in skeleton.auxiliary:
                    layer.register_forward_hook(partial(keep, name))
    return maps


def _with_macs(rows: Iterable[LayerRow], costs: Costs) -> tuple[LayerRow, ...]:
    counts = iter(costs.macs)
    return tuple(replace(row, macs=next(counts)) if row.is_layer else row for row in rows)


@final
class _NoInitialization(TorchFunctionMode):
    """Skips the initialization of weights, which takes as long as all else for tensors without values."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else keywords["tensor"]
        return func(*args, **keywords)
