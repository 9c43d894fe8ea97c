"""Running a network backwards with another rule at its rectifiers, without changing anything in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from convolve.layers.maxout import Maxout

Rule = Callable[[Tensor, Tensor], Tensor]
"""What passes a rectifier backwards, of what arrives there and of what left it forwards."""
_RECTIFIERS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)
_IN_PLACE = (torch.relu_, Tensor.relu_)


@contextlib.contextmanager
def rectifying(network: nn.Module, rule: Rule) -> Iterator[None]:
    """Every rectifier that is called inside, as a layer or as a function, follows the rule backwards.

    Maxout keeps its own slope: it takes maxima by a rectifier, but is none. Leaves hooks on it; use inside `untouched`.
    """
    mode = _Rectifying(rule)
    for layer in network.modules():
        if isinstance(layer, Maxout):
            layer.register_forward_pre_hook(mode.pause)
            layer.register_forward_hook(mode.resume)
    with mode:
        yield


@final
class _Rectifying(TorchFunctionMode):
    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.paused = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace rectifiers, let all other calls happen."""
        given = dict(kwargs or {})
        if self.paused or func not in _RECTIFIERS:
            return func(*args, **given)
        named = dict(zip(("input", "inplace"), args, strict=False)) | given
        in_place = func in _IN_PLACE or named.get("inplace", False)
        return _Rectifier.apply(named["input"], self.rule, in_place)

    def pause(self, *_: object) -> None:
        self.paused = True

    def resume(self, *_: object) -> None:
        self.paused = False


@final
class _Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rule: Rule, in_place: bool) -> Tensor:
        """max(0, values), over the values themselves where asked."""
        if in_place:
            ctx.mark_dirty(values)
        left = values.relu_() if in_place else values.relu()
        ctx.rule = rule
        ctx.save_for_backward(left)
        return left

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor, None, None]:
        """What the rule lets pass."""
        (left,) = ctx.saved_tensors
        return ctx.rule(arriving[0], left), None, None
