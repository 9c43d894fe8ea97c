"""The layer table of a network: shapes, parameters, multiply-adds and receptive fields, without any arithmetic."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convolve.errors import NetworkError
from convolve.layers.border import BorderOnce
from convolve.layers.description import Leaf, describe
from convolve.layers.geometry import ReceptiveField, Window

_FLOAT_BYTES = 4
_AUXILIARY = "auxiliary."  # heads that help in training only, and that no image passes
Fields = tuple[ReceptiveField, ReceptiveField]
"""Receptive fields down and across."""


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
class LayerRow:
    """One call of a layer.

    ``name`` is the layer's path in the network; ``input`` and ``output`` are shapes without the batch; ``kernel``,
    ``stride`` and ``padding`` are (down, across), None where the layer has no window; ``macs`` are the multiply-adds of
    one image in convolutions and dense layers (biases not counted). ``receptive_field`` is that of its output's units,
    along the side where it is larger, in pixels.
    """

    name: str
    type: str
    kernel: tuple[int, int] | None
    stride: tuple[int, int] | None
    padding: tuple[int, int] | None
    groups: int | None
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: ReceptiveField


@dataclass(frozen=True)
class Summary:
    """A network's layers in forward order, and the totals.

    ``weight_bytes`` and ``activation_bytes`` are for float32; the latter counts every layer's output for one image,
    except outputs that overwrite the input.
    """

    layers: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    macs: int
    weight_bytes: int
    activation_bytes: int


def summarize(network: nn.Module, input: tuple[int, int, int]) -> Summary:  # noqa: A002
    """Follow one image (channels, height, width) through a copy of the network that has shapes but no values.

    The network itself is not changed. A layer is a module without submodules; one that is called again has a second
    row, without its parameters. All that is published counts, also what `BorderOnce` does not compute. Receptive fields
    follow the windows of convolutions and poolings; where branches meet, a unit's field covers those of all branches.
    Raises `NetworkError` when the network cannot take such an image.
    """
    tracer, costs = _follow(network, input, ())
    used = [parameter for name, parameter in network.named_parameters() if not name.startswith(_AUXILIARY)]
    return Summary(
        layers=tuple(replace(row, macs=macs) for row, macs in zip(tracer.rows, costs.macs, strict=True)),
        parameters=sum(parameter.numel() for parameter in used),
        trainable=sum(parameter.numel() for parameter in used if parameter.requires_grad),
        macs=sum(costs.macs),
        weight_bytes=costs.weight_bytes,
        activation_bytes=costs.activation_bytes,
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
        positions = output.shape[:-1] if leaf.kind == "dense" else (inputs[0] if leaf.transposed else output).shape[2:]
        macs.append(leaf.weights * math.prod(positions))
        if output.untyped_storage() not in storages:
            storages.add(output.untyped_storage())
            activations += output.numel()

    for module in skeleton.eval().modules():
        if isinstance(module, BorderOnce):
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
    tracer, _ = _follow(network, input, names)
    return tracer.named_fields


def _follow(network: nn.Module, shape: tuple[int, int, int], names: Iterable[str]) -> tuple[_Tracer, Costs]:
    """Trace an image through a copy whose tensors have shapes only, without the hooks of the original."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for parameter in network.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for module in network.modules():  # copying their many empty dictionaries would take half of the time
        shapes |= {id(value): type(value)() for value in vars(module).values() if isinstance(value, dict) and not value}
    skeleton = copy.deepcopy(network, shapes)
    image = torch.empty(1, *shape, device="meta")
    tracer = _Tracer(image)
    for name, module in skeleton.named_modules():
        module._forward_hooks.clear()  # noqa: SLF001
        module._forward_pre_hooks.clear()  # noqa: SLF001
        if not any(True for _ in module.children()):
            module.register_forward_hook(partial(tracer.record, name))
    for name in names:
        skeleton.get_submodule(name).register_forward_hook(partial(tracer.note_field, name))
    with tracer:
        return tracer, count_costs(skeleton, image)


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


@final
class _Tracer(TorchFunctionMode):
    """Intercepts every call of torch, to pass receptive fields on, and every layer, to write its row."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        pixel = ReceptiveField(size=1, stride=1, offset=0)
        self.rows: list[LayerRow] = []
        self.named_fields: dict[str, Fields] = {}
        self._fields: dict[int, tuple[Tensor, Fields]] = {
            id(image): (image, (pixel, pixel))
        }  # the tensor too, so that its id stays taken
        self._counted: set[nn.Module] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the call; the fields of its outputs cover those of all its inputs."""
        if func is F.batch_norm and args[1] is not None and args[0].shape[1] == len(args[1]):
            result = torch.empty_like(args[0])  # torch would take ten times as long to infer this shape
        else:
            result = func(*args, **(kwargs or {}))
        sources = [source for source in _tensors(args) if id(source) in self._fields]
        for output in _tensors(result):
            found: Fields | None = None
            for source in sources:
                down, across = self._fields[id(source)][1]
                if source.dim() == 4 and (output.dim() != 4 or tuple(output.shape[2:]) == (1, 1)):
                    # The output is not a map any more: its field is that of all units.
                    down, across = down.over(source.shape[2]), across.over(source.shape[3])
                found = (found[0].union(down), found[1].union(across)) if found else (down, across)
            if found:
                self._fields[id(output)] = output, found
        return result

    def note_field(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Note the field of a module's output; a forward hook."""
        del module, args
        self.named_fields[name] = self._fields[id(output)][1]

    def record(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Write a layer's row; a forward hook."""
        description = describe(module)
        leaf = description if isinstance(description, Leaf) else Leaf()
        sides, window = self._fields[id(args[0])][1], leaf.windows
        if isinstance(module, nn.ZeroPad2d):  # a window of one unit, the first of which lies in the padding
            left, _, top, _ = module.padding
            sides = sides[0].through(Window(1, 1, top, 1)), sides[1].through(Window(1, 1, left, 1))
            self._fields[id(output)] = output, sides
        if window:
            sides = sides[0].through(window[0]), sides[1].through(window[1])
            self._fields[id(output)] = output, sides
        first_call = module not in self._counted
        self._counted.add(module)
        self.rows.append(
            LayerRow(
                name=name,
                type=type(module).__name__,
                kernel=(window[0].kernel, window[1].kernel) if window else None,
                stride=(window[0].stride, window[1].stride) if window else None,
                padding=(window[0].padding, window[1].padding) if window else None,
                groups=leaf.groups,
                input=tuple(args[0].shape[1:]),
                output=tuple(output.shape[1:]),
                parameters=sum(parameter.numel() for parameter in module.parameters()) if first_call else 0,
                macs=0,  # which `count_costs` counts
                receptive_field=max(sides),
            )
        )


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
