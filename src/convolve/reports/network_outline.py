"""What is drawn of a network: the parts of its stages, equal ones counted, and the insides of its modules.

Layers and modules say themselves what they are (`convolve.layers.description`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, final

from convolve.layers.description import (
    Description,
    Ends,
    Gate,
    Growing,
    Leaf,
    Parallel,
    Series,
    Skip,
    Windows,
    describe,
)
from convolve.models import Network
from convolve.summary import Summary
from convolve.tracing import LayerRow

Kind = Literal["convolution", "pooling", "module", "dense"]
_FEW = 3


@dataclass(frozen=True)
class Operation:
    """A layer inside a module."""

    kind: Kind
    kernel: str = ""
    name: str = ""
    stride: int = 1
    groups: int = 1

    @property
    def text(self) -> str:
        """Such as `3×3`, `3×3 /2`, `3×3 in 32 groups`, `max 3×3`, `gate`."""
        stride = f"/{self.stride}" if self.stride > 1 else ""
        groups = f"in {self.groups} groups" if self.groups > 1 else ""
        return " ".join(filter(None, (self.name, self.kernel, stride, groups)))


@dataclass(frozen=True)
class Chain:
    """Layers one after the other."""

    steps: tuple[Inside, ...]


@dataclass(frozen=True)
class Fork:
    """Branches that read the same maps, their outputs concatenated."""

    branches: tuple[Inside, ...]


@dataclass(frozen=True)
class Shortcut:
    """A branch to whose output the module's input is added."""

    branch: Inside


@dataclass(frozen=True)
class Growth:
    """Layers each of which reads the maps of all before it and adds ``growth`` channels."""

    layer: Inside
    growth: int


Inside = Operation | Chain | Fork | Shortcut | Growth
GATE = Operation("dense", name="gate")


@dataclass(frozen=True)
class Part:
    """``count`` equal parts in a row: their name and what follows it, and the shape (channels, height, width) of the
    last one's output.

    ``inside`` is what a module is made of; None for single layers and for modules of other libraries. ``groups`` are
    those of a convolution.
    """

    kind: Kind
    name: str
    shape: tuple[int, ...]
    count: int = 1
    inside: Inside | None = None
    detail: str = ""
    groups: int = 1

    @property
    def text(self) -> str:
        """Name and detail."""
        return self.name + self.detail


def outline(network: Network, summary: Summary) -> dict[str, list[Part]]:
    """The parts of every stage and of the `head`, in order; equal neighbors are one part. A head that has several ends
    is `head 1`, `head 2` …
    """
    drawing = _Outline(network, summary.layers)
    ends = list(drawing.ends("head"))
    heads = {f"head {number}": path for number, path in enumerate(ends, 1)} if len(ends) > 1 else {"head": "head"}
    paths = {name: f"stages.{name}" for name in network.stages} | heads
    return {name: _merge(list(drawing.parts(path))) for name, path in paths.items()}


def without_strides(inside: Inside) -> Inside:
    """An inside as if nothing in it had a stride: in a stage, only the first module has one."""
    match inside:
        case Operation():
            return replace(inside, stride=1)
        case Chain(steps):
            return Chain(tuple(map(without_strides, steps)))
        case Fork(branches):
            return Fork(tuple(map(without_strides, branches)))
        case Shortcut(branch):
            return Shortcut(without_strides(branch))
        case Growth(layer, growth):
            return Growth(without_strides(layer), growth)


@final
class _Outline:
    """Looks modules up by their paths, and the rows of their layers in the layer table."""

    def __init__(self, network: Network, rows: Sequence[LayerRow]) -> None:
        self.network, self.rows = network, [row for row in rows if row.is_layer]
        self.indices = {row.name: index for index, row in reversed(list(enumerate(self.rows)))}

    def ends(self, path: str) -> Iterator[str]:
        """The paths of what ends in outputs, inside this one."""
        match describe(self.network.get_submodule(path)):
            case Ends(parts):
                yield from (f"{path}.{name}" for name in parts)
            case Series(parts):
                for name in parts:
                    yield from self.ends(f"{path}.{name}")

    def parts(self, path: str) -> Iterator[Part]:
        """The parts of a stage, of the head or of something inside them."""
        description = describe(self.network.get_submodule(path))
        inner = [index for name, index in self.indices.items() if name.startswith(f"{path}.")]
        if path in self.indices:
            yield from self.layer(path)
        elif isinstance(description, Series):
            for name in description.parts:
                yield from self.parts(f"{path}.{name}")
        elif inner:
            following = max(inner) + 1
            shape = self.rows[following].input if following < len(self.rows) else self.rows[-1].output
            yield from self.module(path, description, shape)

    def layer(self, path: str) -> Iterator[Part]:
        """A layer that is drawn: convolution, pooling or dense layer; nothing for all others."""
        row, leaf = self.rows[self.indices[path]], describe(self.network.get_submodule(path))
        match leaf:
            case Leaf("dense"):
                yield Part("dense", leaf.name, row.output, detail=f" {row.output[-1]}")
            case Leaf("pooling", windows=None):
                yield Part("pooling", leaf.name, row.output)
            case Leaf("convolution" | "pooling" as kind, name, (down, across), groups):
                stride, count = max(down.stride, across.stride), groups or 1
                detail = f" in {count} groups" if count > 1 else ""
                detail += f", stride {stride}" if stride > 1 else ""
                yield Part(kind, f"{_kernel((down, across))} {name}", row.output, detail=detail, groups=count)

    def module(self, path: str, description: Description, shape: tuple[int, ...]) -> Iterator[Part]:
        """A module of ours as one part; another library's as its layers where they are few, else as their number."""
        inside = self.inside(path)
        if isinstance(description, Gate):
            yield Part("module", "squeeze and excitation", shape, inside=inside)
        elif isinstance(description, Growing):
            yield Part("module", "dense block", shape, inside=inside, detail=f" of {description.count} layers")
        elif name := _module_name(inside):
            yield Part("module", name, shape, inside=inside)
        else:
            names = [row.name for row in self.rows if row.name.startswith(f"{path}.")]
            layers = [part for name in dict.fromkeys(names) for part in self.layer(name)]
            yield from layers if len(layers) <= _FEW else [Part("module", f"{len(layers)} layers", shape)]

    def inside(self, path: str) -> Inside | None:
        """What a module is made of; None where it holds nothing that is drawn, or is another library's."""
        match describe(self.network.get_submodule(path)):
            case Gate():
                return GATE
            case Series(parts):
                return _chain([step for name in parts if (step := self.inside(f"{path}.{name}"))])
            case Parallel(branches):
                return Fork(tuple(self.inside(f"{path}.{name}") or Chain(()) for name in branches))
            case Skip(branch):
                inner = self.inside(f"{path}.{branch}")
                return Shortcut(inner) if inner else None
            case Growing(layer, _, growth):
                inner = self.inside(f"{path}.{layer}")
                return Growth(inner, growth) if inner else None
            case Leaf("convolution", _, (down, across), groups) if path in self.indices:
                kernel = _kernel((down, across))
                return Operation("convolution", kernel, stride=max(down.stride, across.stride), groups=groups or 1)
            case Leaf("pooling", name, (down, across)) if path in self.indices:
                kernel = _kernel((down, across))
                return Operation("pooling", kernel, name.removesuffix(" pool"), max(down.stride, across.stride))
            case Leaf("pooling" | "dense" as kind, name) if path in self.indices:
                return Operation(kind, name=name)
        return None


def _kernel(windows: Windows) -> str:
    return f"{windows[0].kernel}×{windows[1].kernel}"


def _chain(steps: Sequence[Inside]) -> Inside | None:
    flat = tuple(chain(*(step.steps if isinstance(step, Chain) else (step,) for step in steps)))
    return (flat[0] if len(flat) == 1 else Chain(flat)) if flat else None


def _module_name(inside: Inside | None) -> str:
    if isinstance(inside, Fork) and not any(_has_convolution(branch) for branch in inside.branches):
        return "pyramid pooling"
    if isinstance(inside, Fork):
        return "inception module" if without_strides(inside) == inside else "reduction"
    if not isinstance(inside, Shortcut):
        return ""
    steps = inside.branch.steps if isinstance(inside.branch, Chain) else (inside.branch,)
    if any(isinstance(step, Fork) for step in steps):
        return "inception-residual"
    kernels = [
        step.kernel if step.kind == "convolution" else ""
        for step in steps
        if isinstance(step, Operation) and step != GATE
    ]
    gate = "SE " if GATE in steps else ""
    return gate + ("bottleneck" if kernels == ["1×1", "3×3", "1×1"] else "residual block")


def _has_convolution(inside: Inside) -> bool:
    match inside:
        case Operation(kind):
            return kind == "convolution"
        case Chain(steps) | Fork(steps):
            return any(map(_has_convolution, steps))
        case Shortcut(inner) | Growth(inner):
            return _has_convolution(inner)


def _merge(parts: Sequence[Part]) -> list[Part]:
    """Equal neighbors as one part, and a gate as part of the module before it."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if part.inside == GATE and last and last.inside:
            merged[-1] = replace(last, name=f"SE {last.name}", inside=_chain((last.inside, GATE)))
        else:
            merged.append(part)
    counted: list[Part] = []
    for part in merged:
        last = counted[-1] if counted else None
        if last and part.kind != "dense" and _key(part) == _key(last):
            counted[-1] = replace(part, count=last.count + 1)
        else:
            counted.append(part)
    return counted


def _key(part: Part) -> tuple[object, ...]:
    """What equal parts have in common."""
    return part.text, part.inside and without_strides(part.inside), part.shape[1:]
