"""Any network of fixed layers, cut into stages and a head: a network that another library built becomes a `Network`.

The network's calls are recorded by `torch.fx`, and a stage ends at the last call of its stride after which everything
is computed from one map alone. The stages run the network's own layers in its own order, so that they compute what it
computes, in training too.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models.network import Stage

_MORE = 448  # pixels by which a second image is larger: strides of 2, 4 … 64 and 7, 14, 28 all divide it
_NO_END = (nn.Dropout, nn.Dropout2d, nn.Identity)  # they belong to what follows them
_CHAINS = (nn.Sequential, nn.ModuleList)
_Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """The end of a stage: the name of the recorded call, the map's channels and stride, and whether the next stage
    writes over the map, so that it must begin with a copy.
    """

    call: str
    channels: int
    stride: int
    overwritten: bool


@dataclass(frozen=True)
class Cuts:
    """Where a network is cut: ``leaves`` are the types of modules that are recorded as one call, because what they do
    depends on the mode of training or on the values that they get; ``minimum`` the smallest side of a square image.
    """

    ends: tuple[Cut, ...]
    leaves: frozenset[type[nn.Module]]
    minimum: int


def find_cuts(network: nn.Module, images: _Shape, classes: int) -> Cuts:
    """Find where a network on the meta device is cut; ``images`` is (channels, height, width).

    ``classes`` is the network's number of scores and of nothing else in it, which tells its head. Raises `NetworkError`
    when calls cannot be recorded, when images of other sizes do not pass, or when the network does not work on maps.
    """
    leaves = opaque(network)
    recorded = fx.GraphModule(network.eval(), record(network, leaves))
    channels, height, width = images
    small = _run(recorded, (2, *images))
    large = _run(recorded, (2, channels, height + _MORE, width + _MORE))
    ends = tuple(_ends(recorded, small, large, classes))
    if not ends or _has_tokens(recorded, ends[-1].call, small, large):
        raise NetworkError("it does not halve its maps step by step (a vision transformer does not, for instance)")
    return Cuts(ends, leaves, _smallest(recorded, images))


def cut(network: nn.Module, cuts: Cuts) -> tuple[dict[str, Stage], nn.Module]:
    """The network's layers as stages, `stage1` and so on, and the head. Layers keep their names and are not copied, so
    the network itself must not be used any more.
    """
    graph = record(network, cuts.leaves)
    calls = list(graph.nodes)
    indices = {call.name: index for index, call in enumerate(calls)}
    stages: dict[str, Stage] = {}
    begin, copied = 1, False
    for number, end in enumerate(cuts.ends, 1):
        last = indices[end.call]
        layers = _part(network, f"Stage{number}", calls[begin : last + 1], copied)
        stages[f"stage{number}"] = Stage(layers, end.channels, end.stride)
        begin, copied = last + 1, end.overwritten
    return stages, _part(network, "Head", calls[begin:-1], copied)


@dataclass(frozen=True)
class _Shapes:
    """Of every call that returned a tensor, by name: its shape, and whether it was overwritten later."""

    shapes: Mapping[str, _Shape]
    overwritten: frozenset[str]


@final
class _Interpreter(fx.Interpreter):
    """Runs a recorded network call by call, and notes what each returns."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network, garbage_collect_values=False)
        self.tensors: dict[str, tuple[Tensor, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Note the tensor, and how often it had been written to when the call returned."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.tensors[n.name] = result, result._version  # noqa: SLF001
        return result


@torch.no_grad()
def _run(recorded: fx.GraphModule, images: _Shape) -> _Shapes:
    interpreter = _Interpreter(recorded)
    try:
        interpreter.run(torch.empty(images, device="meta"))
    except Exception as error:  # as in `opaque`
        size = "x".join(map(str, images[1:]))
        raise NetworkError(f"it does not take images of {size}, so that its strides are not known") from error
    return _Shapes(
        {name: tuple(found.shape) for name, (found, _) in interpreter.tensors.items()},
        frozenset(name for name, (found, version) in interpreter.tensors.items() if found._version != version),  # noqa: SLF001
    )


def _ends(recorded: fx.GraphModule, small: _Shapes, large: _Shapes, classes: int) -> Iterator[Cut]:
    """The last call of every stride, in order, from whose map alone the rest is computed, before any score is."""
    last: dict[int, tuple[bool, int, fx.Node]] = {}
    for index, call in enumerate(_bottlenecks(recorded, classes)):
        stride = _stride(call.name, small, large)
        layer = recorded.get_submodule(str(call.target)) if call.op == "call_module" else None
        if stride > 1 and small.shapes[call.name][2:] != (1, 1) and not isinstance(layer, _NO_END):
            last[stride] = max(last.get(stride, (False, -1, call)), (_between_blocks(call), index, call))
    reached = -1
    for stride, (_, index, call) in sorted(last.items()):
        if index > reached:
            reached = index
            yield Cut(call.name, small.shapes[call.name][1], stride, call.name in small.overwritten)


def _between_blocks(call: fx.Node) -> bool:
    """Whether a call and the next one have nothing but chains of layers around both of them, no block."""
    stacks = [[*found.meta.get("nn_module_stack", {}).values()] for found in (call, call.next)]
    around = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*stacks, strict=False))
    return all(kind in _CHAINS for (_, kind), _ in around)


def _bottlenecks(recorded: fx.GraphModule, classes: int) -> Iterator[fx.Node]:
    """Calls after which no other result is needed, up to the first layer whose weights know the number of classes."""
    needed: dict[fx.Node, int] = {}
    for call in recorded.graph.nodes:
        if call.op in ("get_attr", "output"):
            continue
        if call.op == "call_module":
            layer = recorded.get_submodule(str(call.target))
            if any(classes in value.shape for value in layer.parameters()):
                return
        for earlier in call.all_input_nodes:
            if earlier in needed:
                needed[earlier] -= 1
                if not needed[earlier]:
                    del needed[earlier]
        if call.users:
            needed[call] = len(call.users)
        if list(needed) == [call] and call.op != "placeholder":
            yield call


def _stride(call: str, small: _Shapes, large: _Shapes) -> int:
    """Input pixels per step of a call's map (N, C, H, W); 0 where it returns no map."""
    before, after = small.shapes.get(call, ()), large.shapes.get(call, ())
    if len(before) != 4 or len(after) != 4 or before[1] != after[1]:
        return 0
    down, across = after[2] - before[2], after[3] - before[3]
    return _MORE // down if down == across > 0 and _MORE % down == 0 else 0


def _has_tokens(recorded: fx.GraphModule, end: str, small: _Shapes, large: _Shapes) -> bool:
    """Whether something after the last stage grows with the image and is not a map."""
    later = itertools.dropwhile(lambda call: call.name != end, recorded.graph.nodes)
    return any(
        small.shapes[call.name] != large.shapes.get(call.name) and not _stride(call.name, small, large)
        for call in later
        if call.name in small.shapes
    )


def _smallest(recorded: fx.GraphModule, images: _Shape) -> int:
    """The smallest side of a square image that passes, at most the published one: by doubling, then by bisection."""
    refused, side = 0, 1
    while side < min(images[1:]) and not _passes(recorded, (2, images[0], side, side)):
        refused, side = side, min(2 * side, *images[1:])
    while side - refused > 1:
        middle = (refused + side) // 2
        passes = _passes(recorded, (2, images[0], middle, middle))
        refused, side = (refused, middle) if passes else (middle, side)
    return side


def _passes(recorded: fx.GraphModule, images: _Shape) -> bool:
    try:
        _run(recorded, images)
    except NetworkError:
        return False
    return True


def _part(network: nn.Module, name: str, calls: list[fx.Node], copied: bool) -> fx.GraphModule:
    """Consecutive calls as a module of its own: from the map of the call before them to that of the last one."""
    graph = fx.Graph()
    images = graph.placeholder("images")
    copies: dict[fx.Node, fx.Node] = {}
    images = graph.call_method("clone", (images,)) if copied else images

    def copy_of(call: fx.Node) -> fx.Node:
        if call not in copies:
            copies[call] = graph.node_copy(call, copy_of) if call.op == "get_attr" else images
        return copies[call]

    for call in calls:
        copies[call] = graph.node_copy(call, copy_of)
    graph.output(copies[calls[-1]] if calls else images)
    return fx.GraphModule(network, graph, name)


def opaque(network: nn.Module) -> frozenset[type[nn.Module]]:
    """The types of modules whose calls cannot be recorded, or differ in training. Raises `NetworkError`."""
    leaves: frozenset[type[nn.Module]] = frozenset()
    while True:
        training, evaluating = _Recorder(leaves), _Recorder(leaves)
        try:
            pairs = itertools.zip_longest(
                training.trace(network.train()).nodes, evaluating.trace(network.eval()).nodes, fillvalue=None
            )
        except Exception as error:  # whatever another library's code raises when tensors hold no numbers
            found = training.failed or evaluating.failed
            if found is None or found in leaves:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise NetworkError(f"its calls cannot be recorded ({reason})") from error
        else:
            different = next((pair for pair in pairs if _signature(pair[0]) != _signature(pair[1])), None)
            if different is None:
                return leaves
            found = _owner(*different)
        leaves |= {found}


def record(network: nn.Module, leaves: frozenset[type[nn.Module]]) -> fx.Graph:
    """The network's calls. Dropout that it computes by a function becomes a layer, which knows its own mode."""
    mode = network.training
    graph = _Recorder(leaves).trace(network.eval())
    network.train(mode)
    for call in graph.find_nodes(op="call_function", target=F.dropout):
        dropout = inspect.signature(F.dropout).bind(*call.args, **call.kwargs)
        dropout.apply_defaults()
        if not dropout.arguments["training"]:
            name = f"function_{call.name}"
            network.add_module(name, nn.Dropout(dropout.arguments["p"], dropout.arguments["inplace"]))
            with graph.inserting_before(call):
                call.replace_all_uses_with(graph.call_module(name, (dropout.arguments["input"],)))
            graph.erase_node(call)
    return graph


@final
class _Recorder(fx.Tracer):
    """Records the calls of layers and functions, also inside composite modules except those of a type in ``leaves``."""

    def __init__(self, leaves: frozenset[type[nn.Module]]) -> None:
        super().__init__(param_shapes_constant=True)
        self.leaves = leaves
        self.failed: type[nn.Module] | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is recorded as one call."""
        del module_qualified_name
        return type(m) in self.leaves or not any(True for _ in m.children())

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Record a module; the innermost one whose calls cannot be recorded is remembered."""
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or type(m)
            raise


def _signature(call: fx.Node | None) -> str:
    """What tells calls apart; not the arguments of dropout, of which `record` makes a layer."""
    if call is None or call.target is F.dropout:
        return str(call and call.name)
    return f"{call.op} {call.target} {call.args} {call.kwargs}"


def _owner(*calls: fx.Node | None) -> type[nn.Module]:
    """The type of the innermost block that made one of the calls. Raises `NetworkError` for the network itself."""
    stacks = [list(call.meta.get("nn_module_stack", {}).values()) for call in calls if call is not None]
    layers = [call.op == "call_module" for call in calls if call is not None]
    blocks = [stack[:-1] if layer else stack for stack, layer in zip(stacks, layers, strict=True)]
    deepest = max(blocks, key=len, default=[])
    if not deepest:
        raise NetworkError("it computes something else in training")
    owner: type[nn.Module] = deepest[-1][1]
    return owner
