"""Follows one image through a network of shapes: a row for every layer, and for every place where maps meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convolve.layers.description import Leaf, describe
from convolve.layers.fields import MERGES, Fields, fields_after
from convolve.layers.geometry import ReceptiveField

_PIXEL = ReceptiveField(size=1, stride=1, offset=0)
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class LayerRow:
    """One call of a layer, or a place where maps meet: a `concatenation`, an `addition` or a `product`.

    ``name`` is the layer's path in the network, of a meeting that of the module in which it happens; ``input`` and
    ``output`` are shapes without the batch, of a meeting the first of its inputs; ``kernel``, ``stride`` and
    ``padding`` are (down, across), None where the layer has no window; ``macs`` are the multiply-adds of one image in
    convolutions and dense layers (biases not counted). ``receptive_field`` is that of its output's units, along the
    side where it is larger, in pixels. ``statistics`` are the running means and variances of batch normalization.
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
    statistics: int = 0

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer, not a place where maps meet."""
        return self.type not in MERGES.values()


class _Value(NamedTuple):
    """What is known of a tensor: the fields of its units, and how many layers with weights it has passed.

    The ``tensor`` too, so that its id stays taken.
    """

    tensor: Tensor
    fields: Fields
    depth: int


@final
class Tracer(TorchFunctionMode):
    """Intercepts every call of torch, to pass receptive fields on, and every layer, to write its row.

    ``rows`` are in forward order, without multiply-adds; ``depth`` is that of the deepest output so far.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.rows: list[LayerRow] = []
        self.named_fields: dict[str, Fields] = {}
        self.depth = 0
        self._sides = image.shape[2:]
        self._values = {id(image): _Value(image, (_PIXEL, _PIXEL), 0)}
        self._counted: set[nn.Module] = set()
        self._running: list[tuple[str, nn.Module]] = []

    def attach(self, network: nn.Module, names: Iterable[str]) -> None:
        """Follow this network, and note the fields of the modules with these names in ``named_fields``."""
        for name, module in network.named_modules():
            module.register_forward_pre_hook(partial(self._enter, name))
            if not any(True for _ in module.children()):
                module.register_forward_hook(partial(self._record, name))
            module.register_forward_hook(self._leave)
        for name in names:
            network.get_submodule(name).register_forward_hook(partial(self._note_field, name))

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the call; the fields of its outputs cover those of all its inputs, unless it is known to move units."""
        sources = [self._values[id(value)] for value in _tensors(args) if id(value) in self._values]
        if func is F.batch_norm and args[1] is not None and args[0].shape[1] == len(args[1]):
            result = torch.empty_like(args[0])  # torch would take ten times as long to infer this shape
        else:
            result = func(*args, **(kwargs or {}))
        if sources:
            for output in _tensors(result):
                moved = None
                if sources[0].tensor is args[0]:
                    moved = fields_after(func, args[0], (args[1:], kwargs or {}), sources[0].fields, output)
                fields = moved or self._union(sources, output)
                self._values[id(output)] = _Value(output, fields, _depth(func, sources, output))
            self._record_merge(func, sources, result)
        return result

    def _union(self, sources: Sequence[_Value], output: Tensor) -> Fields:
        """The fields that cover those of all sources: the whole map's where the output is not a map any more, the same
        everywhere where a single unit is spread over a map. Such fields end with the image.
        """
        is_map = output.dim() == 4 and tuple(output.shape[2:]) != (1, 1)
        sides = [self._sides_of(source, output) for source in sources]
        found = []
        for side, image in enumerate(self._sides):
            fields = [source[side] for source in sides]
            union = fields[0]
            for field in fields[1:]:
                union = union.union(field, output.shape[2 + side] if is_map else 1)
            found.append(union if union.stride else union.within(image))
        return found[0], found[1]

    def _sides_of(self, source: _Value, output: Tensor) -> Fields:
        """The fields of the units of one source from which each unit of an output is made."""
        shape, (down, across) = source.tensor.shape, source.fields
        if len(shape) != 4:
            return down, across
        is_map, single = tuple(output.shape[-2:]) != (1, 1) and output.dim() >= 4, tuple(shape[2:]) == (1, 1)
        if single and is_map:
            return down._replace(stride=0), across._replace(stride=0)
        if output.dim() < 4 or (not single and (not is_map or (output.dim() > 4 and output.shape[-2:] != shape[2:]))):
            return down.over(shape[2]).within(self._sides[0]), across.over(shape[3]).within(self._sides[1])
        return down, across

    def _record_merge(self, func: Callable[..., Any], sources: Sequence[_Value], output: Any) -> None:
        """Write a row where maps meet outside of a layer."""
        name, module = self._running[-1] if self._running else ("", None)
        kind = MERGES.get(func)
        if kind and len(sources) > 1 and module is not None and any(True for _ in module.children()):
            fields, input_ = self._values[id(output)].fields, tuple(sources[0].tensor.shape[1:])
            row = LayerRow(name, kind, None, None, None, None, input_, tuple(output.shape[1:]), 0, 0, max(fields))
            self.rows.append(row)

    def _enter(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Note that a module begins; a hook before its forward pass."""
        del args
        self._running.append((name, module))

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Note that a module has ended, and how deep the network is; a forward hook."""
        del module, args
        self._running.pop()
        if not self._running:
            depths = (self._values[id(value)].depth for value in _tensors(output) if id(value) in self._values)
            self.depth = max(self.depth, *depths, 0)

    def _note_field(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Note the field of a module's output; a forward hook."""
        del module, args
        self.named_fields[name] = self._values[id(output)].fields

    def _record(self, name: str, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        """Write a layer's row; a forward hook."""
        description = describe(module)
        leaf = description if isinstance(description, Leaf) else Leaf()
        source, window = self._values[id(args[0])], leaf.windows
        fields = self._values.get(id(output), source).fields
        if window:
            down, across = source.fields
            enlarge = ReceptiveField.through_transposed if leaf.transposed else ReceptiveField.through
            fields = enlarge(down, window[0]), enlarge(across, window[1])
        weighted = leaf.weights > 0 and leaf.kind in ("convolution", "dense")
        self._values[id(output)] = _Value(output, fields, source.depth + weighted)
        first_call = module not in self._counted
        self._counted.add(module)
        buffers = dict(module.named_buffers(recurse=False))
        statistics = [buffers[name].numel() for name in _STATISTICS if name in buffers]
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
                macs=0,  # which `summary.count_costs` counts
                receptive_field=max(fields),
                statistics=sum(statistics) if first_call else 0,
            )
        )


def _depth(func: Callable[..., Any], sources: Sequence[_Value], output: Tensor) -> int:
    """The layers with weights on the longest way to an output; a gate's are not on the way of the maps."""
    if MERGES.get(func) == "product":
        sources = [source for source in sources if source.tensor.shape == output.shape] or sources
    return max(source.depth for source in sources)


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
