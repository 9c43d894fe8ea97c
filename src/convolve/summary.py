"""The layer table of a network: shapes, parameters, multiply-adds and receptive fields, without any arithmetic."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convolve.errors import NetworkError
from convolve.layers.border import BorderOnce
from convolve.layers.geometry import ReceptiveField, Window, windows
from convolve.layers.radial_basis import RadialBasis
from convolve.layers.table_convolution import TableConvolution

_FLOAT_BYTES = 4
_AUXILIARY = "auxiliary."  # heads that help in training only, and that no image meets
_Sides = tuple[ReceptiveField, ReceptiveField]  # down, across


@dataclass(frozen=True)
class LayerRow:
    """One layer as the image meets it.

    ``name`` is its path of attributes; ``input`` and ``output`` are shapes without the batch; ``kernel``, ``stride``
    and ``padding`` are (down, across), None where the layer has no window; ``macs`` are the multiply-adds of one image
    in convolutions and dense layers (biases not counted). ``receptive_field`` is that of the side that sees farther.
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
    """A network's layers in forward order, and the sums.

    ``weight_bytes`` and ``activation_bytes`` are for float32; the latter counts every layer's output for one image,
    except what is written over its input.
    """

    layers: tuple[LayerRow, ...]
    parameters: int
    trainable: int
    macs: int
    weight_bytes: int
    activation_bytes: int


def summarize(network: nn.Module, input: tuple[int, int, int]) -> Summary:  # noqa: A002
    """Follow one image (channels, height, width) through a copy of the network that has shapes but no numbers.

    The network itself is not touched. A layer is a module without modules inside; one that is called again has a
    second row, without its parameters. All that is published counts, also what `BorderOnce` does not compute. Receptive
    fields follow the windows of convolutions and poolings; where branches meet, a unit sees what either sees. Raises
    `NetworkError` when the network cannot take such an image.
    """
    tracer = _follow(network, input, ())
    used = [parameter for name, parameter in network.named_parameters() if not name.startswith(_AUXILIARY)]
    sizes = [parameter.numel() for parameter in used]
    return Summary(
        layers=tuple(tracer.rows),
        parameters=sum(sizes),
        trainable=sum(parameter.numel() for parameter in used if parameter.requires_grad),
        macs=sum(row.macs for row in tracer.rows),
        weight_bytes=_FLOAT_BYTES * sum(sizes),
        activation_bytes=_FLOAT_BYTES * tracer.activations,
    )


@contextlib.contextmanager
def outlines() -> Iterator[None]:
    """Networks made inside the block have shapes but no numbers: nothing is drawn and no memory is taken."""
    with torch.device("meta"), _Undrawn():
        yield


def map_fields(
    network: nn.Module,
    input: tuple[int, int, int],  # noqa: A002
    names: Iterable[str],
) -> dict[str, tuple[ReceptiveField, ReceptiveField]]:
    """What the units of the maps that leave the modules of those names see, (down, across); see `summarize`."""
    return _follow(network, input, names).marked


def _follow(network: nn.Module, shape: tuple[int, int, int], names: Iterable[str]) -> _Tracer:
    image = torch.empty(1, *shape, device="meta")
    tracer = _Tracer(image)
    skeleton = _skeleton(network)
    for name, module in skeleton.named_modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(partial(tracer.record, name))
    for name in names:
        skeleton.get_submodule(name).register_forward_hook(partial(tracer.mark, name))
    try:
        with torch.no_grad(), tracer:
            skeleton(image)
    except (RuntimeError, ValueError) as error:
        size, reason = "x".join(map(str, shape)), str(error).splitlines()[0]
        raise NetworkError(f"The network cannot take an input of {size}; give one that fits it ({reason}).") from error
    return tracer


def _skeleton(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose tensors have shapes only, without the hooks of the original."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    for parameter in network.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for module in network.modules():  # their many empty dictionaries are half the copying
        shapes |= {id(value): type(value)() for value in vars(module).values() if isinstance(value, dict) and not value}
    skeleton = copy.deepcopy(network, shapes).eval()
    for module in skeleton.modules():
        module._forward_hooks.clear()  # noqa: SLF001
        module._forward_pre_hooks.clear()  # noqa: SLF001
        if isinstance(module, BorderOnce):
            module.compute_all()
    return skeleton


@final
class _Undrawn(TorchFunctionMode):
    """Leaves out the drawing of first weights, which takes as long as all else for tensors without numbers."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


@final
class _Tracer(TorchFunctionMode):
    """Sees every call of torch, to carry receptive fields along, and every layer, to write its row."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        pixel = ReceptiveField(size=1, stride=1, offset=0)
        self.rows: list[LayerRow] = []
        self.activations = 0
        self.marked: dict[str, _Sides] = {}
        self._fields: dict[int, tuple[Tensor, _Sides]] = {id(image): (image, (pixel, pixel))}  # holds what it knows
        self._storages = {image.untyped_storage()}
        self._counted: set[nn.Module] = set()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Let the call happen; what comes out sees what all that went in saw."""
        result = torch.empty_like(args[0]) if _keeps_shape(func, args) else func(*args, **(kwargs or {}))
        for output in _tensors(result):
            seen = [self._seen(part, output) for part in _tensors(args) if id(part) in self._fields]
            if seen:
                self._fields[id(output)] = output, _union(seen)
        return result

    def mark(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep what the units of a module's map see, its hook being called."""
        del module, args
        self.marked[name] = self._fields[id(output)][1]

    def record(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Write a layer's row, its hook being called."""
        sides, window = self._fields[id(args[0])][1], windows(module)
        if isinstance(module, nn.ZeroPad2d):  # a window of one unit, that begins in the padding
            left, _, top, _ = module.padding
            sides = sides[0].through(Window(1, 1, top, 1)), sides[1].through(Window(1, 1, left, 1))
            self._fields[id(output)] = output, sides
        if window:
            sides = sides[0].through(window[0]), sides[1].through(window[1])
            self._fields[id(output)] = output, sides
        fresh = module not in self._counted
        self._counted.add(module)
        if output.untyped_storage() not in self._storages:
            self._storages.add(output.untyped_storage())
            self.activations += output.numel()
        self.rows.append(
            LayerRow(
                name=name,
                type=type(module).__name__,
                kernel=(window[0].kernel, window[1].kernel) if window else None,
                stride=(window[0].stride, window[1].stride) if window else None,
                padding=(window[0].padding, window[1].padding) if window else None,
                groups=module.groups if isinstance(module, nn.Conv2d) else None,
                input=tuple(args[0].shape[1:]),
                output=tuple(output.shape[1:]),
                parameters=sum(parameter.numel() for parameter in module.parameters()) if fresh else 0,
                macs=_macs(module, args[0], output),
                receptive_field=max(sides),
            )
        )

    def _seen(self, part: Tensor, output: Tensor) -> _Sides:
        """What one unit of ``output`` sees through ``part``: all of its map where the output has no map left."""
        down, across = self._fields[id(part)][1]
        if part.dim() == 4 and (output.dim() != 4 or tuple(output.shape[2:]) == (1, 1)):
            return down.over(part.shape[2]), across.over(part.shape[3])
        return down, across


def _keeps_shape(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether it is a batch normalization that fits its maps; torch takes ten times as long to find its shape."""
    return func is F.batch_norm and args[1] is not None and args[0].shape[1] == len(args[1])


def _union(seen: list[_Sides]) -> _Sides:
    down, across = seen[0]
    for other in seen[1:]:
        down, across = down.union(other[0]), across.union(other[1])
    return down, across


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _macs(module: nn.Module, given: Tensor, output: Tensor) -> int:
    """Multiply-adds of a convolution or dense layer: every weight is used once at every place of the output's map, of a
    transposed convolution at every place of the map that it is given.
    """
    if isinstance(module, nn.ConvTranspose2d):
        return module.weight.numel() * math.prod(given.shape[2:])
    if isinstance(module, nn.Conv2d | TableConvolution):
        return module.weight.numel() * math.prod(output.shape[2:])
    if isinstance(module, nn.Linear | RadialBasis):
        return module.weight.numel() * math.prod(output.shape[:-1])
    return 0
