"""Any network of fixed layers, cut into stages and a head: what another library has built becomes a `Network`.

The network's calls are recorded by `torch.fx`, and a stage ends at the last call of its stride behind which everything
is computed from one map alone. The stages run the network's own layers in its own order, so that they give what it
gives, in training too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, fx, nn

from convolve.errors import NetworkError
from convolve.models.network import Stage
from convolve.models.recording import opaque, record

_MORE = 448  # pixels by which a second image is larger: strides of 2, 4 … 64 and 7, 14, 28 all divide it
_BEYOND_MAPS = (nn.Dropout, nn.Dropout2d, nn.Identity)  # they belong to what stands behind them
_ROWS = (nn.Sequential, nn.ModuleList)
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
    """Where a network is cut: ``whole`` are the kinds of modules that are not looked into, because what they do
    depends on the mode of training or on the numbers that they see; ``minimum`` the smallest side of a square image.
    """

    ends: tuple[Cut, ...]
    whole: frozenset[type[nn.Module]]
    minimum: int


def find_cuts(network: nn.Module, images: _Shape, classes: int) -> Cuts:
    """Find where a network on the meta device is cut; ``images`` is (channels, height, width).

    ``classes`` is the network's number of scores and of nothing else in it, to tell its head. Raises `NetworkError`
    when calls cannot be recorded, when images of other sizes do not pass, or when the network does not work on maps.
    """
    whole = opaque(network)
    recorded = fx.GraphModule(network.eval(), record(network, whole))
    channels, height, width = images
    seen = _watch(recorded, (2, *images))
    wider = _watch(recorded, (2, channels, height + _MORE, width + _MORE))
    ends = tuple(_ends(recorded, seen, wider, classes))
    if not ends or _has_tokens(recorded, ends[-1].call, seen, wider):
        raise NetworkError("it does not halve maps step by step, as a vision transformer does not")
    return Cuts(ends, whole, _smallest(recorded, images))


def cut(network: nn.Module, cuts: Cuts) -> tuple[dict[str, Stage], nn.Module]:
    """The network's layers as stages, `stage1` and so on, and the head; they keep their names and are not copied, so
    that the network itself is of no more use.
    """
    graph = record(network, cuts.whole)
    calls = list(graph.nodes)
    places = {call.name: place for place, call in enumerate(calls)}
    stages: dict[str, Stage] = {}
    begin, copied = 1, False
    for number, end in enumerate(cuts.ends, 1):
        last = places[end.call]
        layers = _part(network, f"Stage{number}", calls[begin : last + 1], copied)
        stages[f"stage{number}"] = Stage(layers, end.channels, end.stride)
        begin, copied = last + 1, end.overwritten
    return stages, _part(network, "Head", calls[begin:-1], copied)


@dataclass(frozen=True)
class _Seen:
    """Of every call that gave a tensor, by name: its shape, and whether it was written over later."""

    shapes: Mapping[str, _Shape]
    overwritten: frozenset[str]


@final
class _Watcher(fx.Interpreter):
    """Runs a recorded network call by call, and notes what each gives."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network, garbage_collect_values=False)
        self.tensors: dict[str, tuple[Tensor, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Note the tensor and how often it had been written when it was made."""
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.tensors[n.name] = result, result._version  # noqa: SLF001
        return result


@torch.no_grad()
def _watch(recorded: fx.GraphModule, images: _Shape) -> _Seen:
    watcher = _Watcher(recorded)
    try:
        watcher.run(torch.empty(images, device="meta"))
    except Exception as error:  # as above
        size = "x".join(map(str, images[1:]))
        raise NetworkError(f"it does not take images of {size}, and so its strides are not known") from error
    return _Seen(
        {name: tuple(found.shape) for name, (found, _) in watcher.tensors.items()},
        frozenset(name for name, (found, version) in watcher.tensors.items() if found._version != version),  # noqa: SLF001
    )


def _ends(recorded: fx.GraphModule, seen: _Seen, wider: _Seen, classes: int) -> Iterator[Cut]:
    """The last place of every stride, in order, where one map alone leads on, before any score is computed."""
    last: dict[int, tuple[bool, int, fx.Node]] = {}
    for place, call in enumerate(_bottlenecks(recorded, classes)):
        stride = _stride(call.name, seen, wider)
        if stride > 1 and seen.shapes[call.name][2:] != (1, 1) and not _beyond(recorded, call):
            last[stride] = max(last.get(stride, (False, -1, call)), (_between_blocks(call), place, call))
    reached = -1
    for stride, (_, place, call) in sorted(last.items()):
        if place > reached:
            reached = place
            yield Cut(call.name, seen.shapes[call.name][1], stride, call.name in seen.overwritten)


def _between_blocks(call: fx.Node) -> bool:
    """Whether a call and the next one stand together in the network's rows of layers alone, not in a block."""
    stacks = [[*found.meta.get("nn_module_stack", {}).values()] for found in (call, call.next)]
    around = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*stacks, strict=False))
    return all(kind in _ROWS for (_, kind), _ in around)


def _bottlenecks(recorded: fx.GraphModule, classes: int) -> Iterator[fx.Node]:
    """Calls behind which nothing else that was computed is needed, up to the first layer that knows the classes."""
    needed: dict[fx.Node, int] = {}
    for call in recorded.graph.nodes:
        if call.op in ("get_attr", "output"):
            continue
        if call.op == "call_module" and _knows(recorded.get_submodule(str(call.target)), classes):
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


def _knows(layer: nn.Module, classes: int) -> bool:
    return any(classes in value.shape for value in layer.parameters())


def _beyond(recorded: fx.GraphModule, call: fx.Node) -> bool:
    return call.op == "call_module" and isinstance(recorded.get_submodule(str(call.target)), _BEYOND_MAPS)


def _stride(call: str, seen: _Seen, wider: _Seen) -> int:
    """Input pixels per step of a call's map (N, C, H, W); 0 where it gives no map."""
    small, large = seen.shapes.get(call, ()), wider.shapes.get(call, ())
    if len(small) != 4 or len(large) != 4 or small[1] != large[1]:
        return 0
    down, across = large[2] - small[2], large[3] - small[3]
    return _MORE // down if down == across > 0 and _MORE % down == 0 else 0


def _has_tokens(recorded: fx.GraphModule, end: str, seen: _Seen, wider: _Seen) -> bool:
    """Whether something behind the last stage grows with the image and is no map."""
    behind = itertools.dropwhile(lambda call: call.name != end, recorded.graph.nodes)
    return any(
        seen.shapes[call.name] != wider.shapes.get(call.name) and not _stride(call.name, seen, wider)
        for call in behind
        if call.name in seen.shapes
    )


def _smallest(recorded: fx.GraphModule, images: _Shape) -> int:
    """The smallest side of a square image that passes, not above the published one: by doubling, then by halving."""
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
        _watch(recorded, images)
    except NetworkError:
        return False
    return True


def _part(network: nn.Module, name: str, calls: list[fx.Node], copied: bool) -> fx.GraphModule:
    """A row of calls as a module of its own, which takes the map of the call before and gives that of its last."""
    graph = fx.Graph()
    given = graph.placeholder("images")
    made: dict[fx.Node, fx.Node] = {}
    given = graph.call_method("clone", (given,)) if copied else given

    def found(call: fx.Node) -> fx.Node:
        if call not in made:
            made[call] = graph.node_copy(call, found) if call.op == "get_attr" else given
        return made[call]

    for call in calls:
        made[call] = graph.node_copy(call, found)
    graph.output(made[calls[-1]] if calls else given)
    return fx.GraphModule(network, graph, name)
