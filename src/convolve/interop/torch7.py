"""Networks of Torch7: what `torch.save` has written of `nn`, `cudnn` and `nngraph`, as networks in words.

A file does not say how large its images are. Where the layers do not leave a choice, it follows from them; otherwise it
is one of the usual sizes, or the one that is asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, final

from convolve.errors import WeightsError
from convolve.interop.foreign_network import ForeignNetwork
from convolve.interop.network_builder import NetworkBuilder
from convolve.interop.torch7_layers import LAYERS, Module, module_of
from convolve.models.definition import IMAGE, Value
from convolve.untrusted.torch7 import LuaObject, LuaTable, read_t7

_SIZES: Final = (224, 227, 231, 221, 299, 32, 28, 64, 96, 128, 256, 48, 24, 12, 40, 160, 192, 320, 384, 448, 512)
"""Heights and widths of images, as they are tried; then all up to the last."""
_DEEPEST: Final = 100
_MOST_MODULES: Final = 20_000
"""Layers that are looked at, in all sizes of the image together."""
_NAMES: Final = ("model", "net", "network", "module")
"""Keys under which a table holds its network."""

_Flow = str | tuple["_Flow", ...]
"""What passes between layers: the output of one, by its name, or a table of these."""


@final
class _UnreadableError(ValueError):
    """No size of the image can help."""


def read_torch7(path: str | os.PathLike[str], image: tuple[int, int, int] | None = None) -> ForeignNetwork:
    """The network in a file of Torch7, for images of (channels, height, width). Raises `WeightsError`."""
    try:
        root = _find_network(read_t7(path))
        return _read_network(root, Path(path), image)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(f"{path} cannot be read as a network of Torch7 ({reason}); choose another file.") from error


def _find_network(value: Any) -> LuaObject:
    """The network of a file, which may be one of the values of a table."""
    if isinstance(value, LuaTable):
        fields = value.fields
        found = [each for each in fields.values() if _is_layer(each)]
        named = [fields[name] for name in _NAMES if _is_layer(fields.get(name))]
        if len(found) != 1 and not named:
            raise ValueError(f"it is a table with {len(found)} networks, and must have one")
        value = (named or found)[0]
    if not isinstance(value, LuaObject):
        raise ValueError("it holds no network")
    return value


def _is_layer(value: Any) -> bool:
    return isinstance(value, LuaObject) and value.kind.startswith(("nn.", "cudnn.", "inn."))


def _read_network(root: LuaObject, path: Path, image: tuple[int, int, int] | None) -> ForeignNetwork:
    failed: tuple[tuple[int, int, int], ValueError] | None = None
    budget = [_MOST_MODULES]
    for size in [image] if image else _image_sizes(root):
        tracer = _Tracer(NetworkBuilder(size), budget)
        try:
            outputs = [*_leaves(tracer.follow(root, IMAGE, ""))]
            definition = tracer.builder.definition("Torch7", path.stem, outputs)
        except _UnreadableError:
            raise
        except ValueError as error:
            failed = failed or (size, error)
            continue
        return ForeignNetwork(definition, tracer.builder.tensors(path.stat().st_size))
    size, reason = failed or ((0, 0, 0), ValueError("there is none"))
    raise ValueError(f"no image fits, such as one of {'x'.join(map(str, size))}: {reason}") from reason


def _image_sizes(root: LuaObject) -> Iterator[tuple[int, int, int]]:
    """Shapes of images that may be meant, the likely ones first."""
    for value in _layers_in(root):
        module = module_of(value, "")
        weight = module.array("weight")
        if module.kind == "Linear" and weight is not None and weight.ndim == 2:
            count = weight.shape[1]
            yield from ((c, side, side) for c in (1, 3) if (side := math.isqrt(count // c)) ** 2 * c == count)
            yield count, 1, 1
            return
        if "nInputPlane" in module.fields:
            planes = module.whole("nInputPlane")
            yield from ((planes, side, side) for side in chain(_SIZES, range(1, _SIZES[-1])))
            return
        if module.kind in ("View", "Reshape") and len(sizes := module.sizes()) >= 3 and min(sizes) > 0:
            yield sizes[-3], sizes[-2], sizes[-1]
    yield from ((3, side, side) for side in _SIZES)


def _layers_in(root: LuaObject) -> Iterator[LuaObject]:
    """The layers of a network without containers, those of the first image's way first."""
    stack: list[Any] = [root]
    seen = set[int]()
    while stack:
        value = stack.pop()
        if not isinstance(value, LuaObject) or id(value) in seen:
            continue
        seen.add(id(value))
        inside = _graph_modules(value) if value.kind == "nn.gModule" else _children(value)
        if inside:
            stack += reversed(inside)
        else:
            yield value


def _children(container: LuaObject) -> list[Any]:
    modules = container.fields.get("modules")
    return modules.items() if isinstance(modules, LuaTable) else []


def _graph_nodes(graph: LuaObject) -> list[LuaTable]:
    """The nodes of an `nn.gModule`, in the order in which they are computed."""
    nodes = graph.fields.get("forwardnodes")
    found = (
        [node.fields.get("data") for node in nodes.items() if isinstance(node, LuaObject)]
        if isinstance(nodes, LuaTable)
        else []
    )
    tables = [data for data in found if isinstance(data, LuaTable)]
    if not tables or len(tables) < len(found):
        raise _UnreadableError("its graph has no list of nodes to compute")
    return tables


def _graph_modules(graph: LuaObject) -> list[Any]:
    return [data.fields["module"] for data in _graph_nodes(graph) if "module" in data.fields]


def _leaves(flow: _Flow) -> Iterator[str]:
    if isinstance(flow, str):
        yield flow
    else:
        for each in flow:
            yield from _leaves(each)


def _join_names(name: str, inner: str | int) -> str:
    return f"{name}/{inner}" if name else str(inner)


@final
class _Tracer:
    """Follows an image through a network's layers, and adds them to a builder."""

    def __init__(self, builder: NetworkBuilder, budget: list[int]) -> None:
        self.builder = builder
        self._budget = budget
        self._depth = 0

    def follow(self, value: Any, flow: _Flow, name: str) -> _Flow:
        """What a layer or container gives out for ``flow``."""
        module = module_of(value, name or "network")
        self._budget[0] -= 1
        if self._depth >= _DEEPEST or self._budget[0] < 0:
            raise _UnreadableError("its layers have no end" if self._depth else "it has too many layers")
        self._depth += 1
        try:
            if module.kind in LAYERS:
                if not isinstance(flow, str):
                    if module.kind == "Identity":
                        return flow
                    raise _UnreadableError(f"the layer {module.name!r} ({module.kind}) is given a table")
                return LAYERS[module.kind](module, flow, self.builder)
            if module.kind in _CONTAINERS:
                return _CONTAINERS[module.kind](self, value, flow, name)
            if module.kind in _TABLES:
                return _TABLES[module.kind](self, module, _table(module, flow))
        finally:
            self._depth -= 1
        raise _UnreadableError(f"the layer {module.name!r} is of the class {value.kind}, which is not read here")

    def join(self, name: str, inputs: Sequence[str], axis: int) -> str:
        """Layers' outputs one after another."""
        return self.builder.add(name, "concat", inputs, {"axis": axis})


def _table(module: Module, flow: _Flow) -> tuple[_Flow, ...]:
    if isinstance(flow, str) or not flow:
        raise _UnreadableError(f"the layer {module.name!r} ({module.kind}) is not given a table")
    return flow


def _maps(module: Module, flow: tuple[_Flow, ...]) -> list[str]:
    """Outputs of layers, none of which is a table itself."""
    maps = [each for each in flow if isinstance(each, str)]
    if len(maps) < len(flow) or not maps:
        raise _UnreadableError(f"the layer {module.name!r} ({module.kind}) is given tables in a table")
    return maps


def _sequential(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    for index, child in enumerate(_children(container), 1):
        flow = tracer.follow(child, flow, _join_names(name, index))
    return flow


def _branches(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> tuple[_Flow, ...]:
    return tuple(
        tracer.follow(child, flow, _join_names(name, index)) for index, child in enumerate(_children(container), 1)
    )


def _concat(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    module = module_of(container, name or "concat")
    maps = _maps(module, _branches(tracer, container, flow, name))
    return tracer.join(module.name, maps, max(1, module.whole("dimension") - 1))


def _depth_concat(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    """Smaller maps are padded with zeros to the largest one, half of them before, rounded down."""
    module = module_of(container, name or "concat")
    maps = _maps(module, _branches(tracer, container, flow, name))
    shapes = [tracer.builder.shapes[each] for each in maps]
    if any(len(shape) != 3 for shape in shapes):
        return tracer.join(module.name, maps, 1)
    height, width = (max(shape[axis] for shape in shapes) for axis in (1, 2))
    for index, shape in enumerate(shapes):
        high, wide = height - shape[1], width - shape[2]
        if high or wide:
            padding = (wide // 2, wide - wide // 2, high // 2, high - high // 2)
            maps[index] = tracer.builder.add(
                f"{module.name}/pad{index + 1}", "pad", [maps[index]], {"padding": padding}
            )
    return tracer.join(module.name, maps, 1)


def _parallel(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    module = module_of(container, name or "network")
    children, table = _children(container), _table(module, flow)
    if len(children) != len(table):
        raise _UnreadableError(f"the layer {module.name!r} has {len(children)} layers for {len(table)} inputs")
    pairs = enumerate(zip(children, table, strict=True), 1)
    return tuple(tracer.follow(child, each, _join_names(name, index)) for index, (child, each) in pairs)


def _first_child(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    """Containers that change how their one layer is computed, or on which cards, and not what it computes."""
    children = _children(container)
    if not children:
        raise _UnreadableError(f"the layer {name!r} ({container.kind}) has no layer inside")
    return tracer.follow(children[0], flow, _join_names(name, 1))


def _graph(tracer: _Tracer, container: LuaObject, flow: _Flow, name: str) -> _Flow:
    """An `nn.gModule`: each node names, in order, the nodes that it takes."""
    flows: dict[int, _Flow] = {}
    found: _Flow = flow
    for index, data in enumerate(_graph_nodes(container), 1):
        before = data.fields.get("mapindex")
        sources = before.items() if isinstance(before, LuaTable) else []
        if any(id(source) not in flows for source in sources):
            raise _UnreadableError("its graph has nodes before those that they take")
        inputs = tuple(flows[id(source)] for source in sources) if sources else (flow,)
        found = inputs[0] if len(inputs) == 1 else inputs
        if "selectindex" in data.fields:
            found = _select(
                tracer, Module("nn", "SelectTable", name, {"index": data.fields["selectindex"]}), _split(found)
            )
        elif "module" in data.fields:
            found = tracer.follow(data.fields["module"], found, _join_names(name, index))
        flows[id(data)] = found
    last = container.fields.get("outnode")
    return flows.get(id(last.fields.get("data")), found) if isinstance(last, LuaObject) else found


def _split(flow: _Flow) -> tuple[_Flow, ...]:
    if isinstance(flow, str):
        raise _UnreadableError("it takes several inputs, and a network here takes one image")
    return flow


_Container = Callable[[_Tracer, LuaObject, _Flow, str], _Flow]
_CONTAINERS: Final[Mapping[str, _Container]] = {
    "Sequential": _sequential,
    "Concat": _concat,
    "DepthConcat": _depth_concat,
    "ConcatTable": _branches,
    "ParallelTable": _parallel,
    **dict.fromkeys(("DataParallelTable", "Decorator", "NoBackprop"), _first_child),
    "gModule": _graph,
}


def _combine(kind: str, options: Mapping[str, Value]) -> Callable[[_Tracer, Module, tuple[_Flow, ...]], _Flow]:
    def follow(tracer: _Tracer, module: Module, table: tuple[_Flow, ...]) -> _Flow:
        maps = _maps(module, table)
        return tracer.builder.add(module.name, kind, maps, options) if len(maps) > 1 else maps[0]

    return follow


def _join_table(tracer: _Tracer, module: Module, table: tuple[_Flow, ...]) -> _Flow:
    axis = module.whole("dimension")
    if module.whole("nInputDims", 0) <= 0:
        axis = max(1, axis - 1)  # which counts the batch
    return tracer.join(module.name, _maps(module, table), axis)


def _select(_tracer: _Tracer, module: Module, table: tuple[_Flow, ...]) -> _Flow:
    index = module.whole("index")
    if not 1 <= abs(index) <= len(table):
        raise _UnreadableError(f"the layer {module.name!r} takes value {index} of {len(table)}")
    return table[index - 1 if index > 0 else index]


def _flatten(_tracer: _Tracer, _module: Module, table: tuple[_Flow, ...]) -> _Flow:
    return tuple(_leaves(table))


_TABLES: Final[Mapping[str, Callable[[_Tracer, Module, tuple[_Flow, ...]], _Flow]]] = {
    "CAddTable": _combine("add", {}),
    "CSubTable": _combine("add", {"coefficients": (1.0, -1.0)}),
    "CMulTable": _combine("multiply", {}),
    "CMaxTable": _combine("maximum", {}),
    "CMinTable": _combine("minimum", {}),
    "JoinTable": _join_table,
    "SelectTable": _select,
    "FlattenTable": _flatten,
}
