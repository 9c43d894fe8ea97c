"""The calls of a network that another library has built, recorded by `torch.fx` without any arithmetic."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any, final

from torch import fx, nn
from torch.nn import functional as F

from convolve.errors import NetworkError


def opaque(network: nn.Module) -> frozenset[type[nn.Module]]:
    """The kinds of modules whose calls cannot be recorded, or are others in training. Raises `NetworkError`."""
    whole: frozenset[type[nn.Module]] = frozenset()
    while True:
        training, evaluating = _Recorder(whole), _Recorder(whole)
        try:
            pairs = itertools.zip_longest(
                training.trace(network.train()).nodes, evaluating.trace(network.eval()).nodes, fillvalue=None
            )
        except Exception as error:  # whatever a foreign network's code raises when it meets no numbers
            found = training.failed or evaluating.failed
            if found is None or found in whole:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise NetworkError(f"its calls cannot be recorded ({reason})") from error
        else:
            unlike = next((pair for pair in pairs if _written(pair[0]) != _written(pair[1])), None)
            if unlike is None:
                return whole
            found = _owner(*unlike)
        whole |= {found}


def record(network: nn.Module, whole: frozenset[type[nn.Module]]) -> fx.Graph:
    """The network's calls. Dropout that it computes by a function becomes a layer of it, which knows its own mode."""
    mode = network.training
    graph = _Recorder(whole).trace(network.eval())
    network.train(mode)
    for call in graph.find_nodes(op="call_function", target=F.dropout):
        given = inspect.signature(F.dropout).bind(*call.args, **call.kwargs)
        given.apply_defaults()
        if not given.arguments["training"]:
            name = f"function_{call.name}"
            network.add_module(name, nn.Dropout(given.arguments["p"], given.arguments["inplace"]))
            with graph.inserting_before(call):
                call.replace_all_uses_with(graph.call_module(name, (given.arguments["input"],)))
            graph.erase_node(call)
    return graph


@final
class _Recorder(fx.Tracer):
    """Records the calls of layers and functions; looks into modules of modules unless they are of a ``whole`` kind."""

    def __init__(self, whole: frozenset[type[nn.Module]]) -> None:
        super().__init__(param_shapes_constant=True)
        self.whole = whole
        self.failed: type[nn.Module] | None = None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Layers are not looked into."""
        del module_qualified_name
        return type(m) in self.whole or not any(True for _ in m.children())

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Record a module; the innermost one whose calls cannot be recorded is remembered."""
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:
            self.failed = self.failed or type(m)
            raise


def _written(call: fx.Node | None) -> str:
    """What tells calls apart; dropout knows its mode by `record`."""
    if call is None or call.target is F.dropout:
        return str(call and call.name)
    return f"{call.op} {call.target} {call.args} {call.kwargs}"


def _owner(*calls: fx.Node | None) -> type[nn.Module]:
    """The kind of the innermost block that made one of the calls. Raises `NetworkError` for the network itself."""
    stacks = [list(call.meta.get("nn_module_stack", {}).values()) for call in calls if call is not None]
    layers = [call.op == "call_module" for call in calls if call is not None]
    blocks = [stack[:-1] if layer else stack for stack, layer in zip(stacks, layers, strict=True)]
    deepest = max(blocks, key=len, default=[])
    if not deepest:
        raise NetworkError("what it computes itself is another thing in training")
    kind: type[nn.Module] = deepest[-1][1]
    return kind
