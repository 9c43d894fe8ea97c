"""What is drawn of a network: the parts of its stages, equal ones counted, and the insides of its modules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from convolve.models import Network
from convolve.summary import LayerRow, Summary

Kind = Literal["convolution", "pooling", "module", "dense"]
_SERIES = ("Sequential", "ZeroPadded", "BorderOnce")
_FEW = 3
_GATE = "squeeze and excitation"
_DENSE = ("Linear", "RadialBasis", "Maxout")


@dataclass(frozen=True)
class Operation:
    """A layer inside a module: `3×3`, or `max 3×3`."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Series:
    """Layers one after the other."""

    steps: tuple[Inside, ...]


@dataclass(frozen=True)
class Parallel:
    """Branches that read the same maps, their own joined."""

    branches: tuple[Inside, ...]


@dataclass(frozen=True)
class Skip:
    """A branch to whose result the maps that entered are added."""

    branch: Inside


@dataclass(frozen=True)
class Growing:
    """Layers of which each reads the maps of all before it and adds ``growth`` channels."""

    layer: Inside
    growth: int


Inside = Operation | Series | Parallel | Skip | Growing


@dataclass(frozen=True)
class Part:
    """``count`` equal parts in a row: what they are called, and the shape (channels, height, width) of the last map.

    ``inside`` is what a module is made of; None for single layers and for modules of other libraries.
    """

    kind: Kind
    text: str
    shape: tuple[int, ...]
    count: int = 1
    inside: Inside | None = None


def outline(network: Network, summary: Summary) -> dict[str, list[Part]]:
    """The parts of every stage and of the `head`, in order; equal neighbors are one part."""
    rows = list(summary.layers)
    places = {row.name: place for place, row in reversed(list(enumerate(rows)))}
    stages = {name: (stage, f"stages.{name}") for name, stage in network.stages.items()}
    found: dict[str, list[Part]] = {}
    for name, (module, path) in {**stages, "head": (network.head, "head")}.items():
        found[name] = _merged(list(_parts(module, path, rows, places)))
    return found


def _parts(module: Any, path: str, rows: Sequence[LayerRow], places: dict[str, int]) -> Iterator[Part]:
    children = list(module.named_children())
    if not children:
        if path in places:
            yield from _single(rows[places[path]])
    elif type(module).__name__ in _SERIES:
        for name, child in children:
            yield from _parts(child, f"{path}.{name}", rows, places)
    else:
        inner = [place for name, place in places.items() if name.startswith(f"{path}.")]
        if inner:
            behind = max(inner) + 1
            shape = rows[behind].input if behind < len(rows) else rows[-1].output
            yield from _module(module, path, shape, rows)


def _module(module: Any, path: str, shape: tuple[int, ...], rows: Sequence[LayerRow]) -> Iterator[Part]:
    """A module of the canon as one part; another library's as its layers where they are few, else as their number."""
    layers = {row.name: row for row in rows if row.name.startswith(f"{path}.")}
    inside, name = _inside(module, path, layers), type(module).__name__
    if name == "SqueezeExcitation":
        yield Part("module", _GATE, shape)
    elif name == "DenseBlock":
        yield Part("module", f"dense block of {len(list(module.layers.children()))} layers", shape, inside=inside)
    elif called := _called(inside):
        yield Part("module", called, shape, inside=inside)
    else:
        drawn = [part for row in layers.values() for part in _single(row)]
        yield from drawn if len(drawn) <= _FEW else [Part("module", f"{len(drawn)} layers", shape)]


def _called(inside: Inside | None) -> str:
    if isinstance(inside, Parallel):
        return "reduction" if " /2" in repr(inside) else "inception module"
    if not isinstance(inside, Skip):
        return ""
    steps = inside.branch.steps if isinstance(inside.branch, Series) else (inside.branch,)
    if any(isinstance(step, Parallel) for step in steps):
        return "inception-residual"
    kernels = [step.text for step in steps if isinstance(step, Operation)]
    gate = "SE " if "gate" in kernels else ""
    narrow = [text.partition(" ")[0] for text in kernels if text != "gate"] == ["1×1", "3×3", "1×1"]
    return gate + ("bottleneck" if narrow else "residual block")


def _inside(module: Any, path: str, rows: dict[str, LayerRow]) -> Inside | None:
    """What a module is made of; None where it holds nothing that is drawn, or is another library's."""
    children, name = dict(module.named_children()), type(module).__name__
    if name == "SqueezeExcitation":
        return Operation("dense", "gate")
    if not children:
        found = next(_single(rows[path]), None) if path in rows else None
        return Operation(found.kind, _short(rows[path])) if found else None
    if name == "DenseBlock":
        first, layer = next(iter(module.layers.named_children()))
        inner = _inside(layer, f"{path}.layers.{first}", rows)
        growth = [row.output[0] for key, row in rows.items() if key.startswith(f"{path}.layers.{first}.")][-1]
        return Growing(inner, growth) if inner else None
    if name == "Branches":
        branches = [_inside(child, f"{path}.branches.{key}", rows) for key, child in module.branches.named_children()]
        return Parallel(tuple(branch or Series(()) for branch in branches))
    if "branch" in children:
        inner = _inside(module.branch, f"{path}.branch", rows)
        return Skip(inner) if inner else None
    if name not in _SERIES:
        return None
    inner_steps = [_inside(child, f"{path}.{key}", rows) for key, child in children.items()]
    return _series([step for step in inner_steps if step])


def _series(steps: Sequence[Inside]) -> Inside | None:
    flat = tuple(itertools.chain(*(step.steps if isinstance(step, Series) else (step,) for step in steps)))
    return (flat[0] if len(flat) == 1 else Series(flat)) if flat else None


def _single(row: LayerRow) -> Iterator[Part]:
    """A layer that is drawn: convolution, pooling or dense layer; nothing for all others."""
    text = _named(row)
    if row.type in _DENSE:
        yield Part("dense", f"dense {row.output[-1]}" if row.type != "RadialBasis" else "RBF", row.output)
    elif "Adaptive" in row.type:
        yield Part("pooling", "global average pool", row.output)
    elif row.kernel:
        pooling = _pooling(row.type)
        kind: Kind = "pooling" if pooling else "convolution"
        yield Part(kind, f"{text} {pooling or 'conv'}{_strided(row)}", row.output)


def _pooling(kind: str) -> str:
    if kind == "Subsampling":
        return "sub-sampling"
    return f"{kind.partition('Pool')[0].lower().replace('avg', 'average')} pool" if "Pool" in kind else ""


def _named(row: LayerRow) -> str:
    return "×".join(map(str, row.kernel)) if row.kernel else ""


def _strided(row: LayerRow) -> str:
    return f", stride {max(row.stride)}" if row.stride and max(row.stride) > 1 else ""


def _short(row: LayerRow) -> str:
    """Such as `3×3`, `3×3 /2`, `3×3 in 32 groups`, `max 3×3`."""
    groups = f" in {row.groups} groups" if row.groups and row.groups > 1 else ""
    stride = f" /{max(row.stride)}" if row.stride and max(row.stride) > 1 else ""
    pooling = _pooling(row.type).removesuffix(" pool")
    return f"{pooling} {_named(row)}{stride}{groups}".strip()


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Equal neighbors as one part."""
    found: list[Part] = []
    for part in _gated(parts):
        last = found[-1] if found else None
        if last and part.kind != "dense" and _alike(part) == _alike(last):
            found[-1] = replace(part, count=last.count + 1)
        else:
            found.append(part)
    return found


def _gated(parts: Sequence[Part]) -> list[Part]:
    """The parts with a gate behind a module taken into it."""
    found: list[Part] = []
    for part in parts:
        if part.text == _GATE and found and (inside := found[-1].inside):
            gated = _series((inside, Operation("dense", "gate")))
            found[-1] = replace(found[-1], text=f"SE {found[-1].text}", inside=gated)
        else:
            found.append(part)
    return found


def _alike(part: Part) -> tuple[object, ...]:
    return part.text, plain(part.inside), part.shape[1:]


def plain(inside: Inside | None) -> str:
    """An inside in words but for its strides, which only the first module of a stage has."""
    return repr(inside).replace(" /2", "")
