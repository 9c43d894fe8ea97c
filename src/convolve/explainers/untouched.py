"""Looking into a network without leaving anything on it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convolve.models import Network

Heat = Callable[[Network, Tensor, Tensor, str | None], Tensor]
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
)


@contextlib.contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode, and its parameters ask for no gradient and have none.

    Afterwards, also when an exception passes through, the mode of every module, whether each parameter asks for a
    gradient, the gradients, the modules' hooks and torch's random state are what they were.
    """
    modules, parameters = list(network.modules()), list(network.parameters())
    modes = [module.training for module in modules]
    hooks = [{name: dict(getattr(module, name)) for name in _HOOKS} for module in modules]
    gradients = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    devices = {parameter.device.index for parameter in parameters if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=devices):
        try:
            network.eval()
            for parameter in parameters:
                parameter.requires_grad_(False)  # noqa: FBT003 - its name is no keyword here
                parameter.grad = None
            yield
        finally:
            for module, mode, before in zip(modules, modes, hooks, strict=True):
                module.training = mode
                _restore_hooks(module, before)
            for parameter, (asked, gradient) in zip(parameters, gradients, strict=True):
                parameter.requires_grad_(asked)
                parameter.grad = gradient


def leaves_untouched(heat: Heat) -> Heat:
    """A method of explanation that runs inside `untouched` and gives float32, detached from any graph.

    It also works where the caller is in inference mode, which knows no slopes.
    """

    @functools.wraps(heat)
    def wrapped(network: Network, images: Tensor, classes: Tensor, stage: str | None = None) -> Tensor:
        with torch.inference_mode(mode=False), untouched(network):
            given = images.clone() if images.is_inference() else images.detach()
            return heat(network, given, classes, stage).detach().float()

    return wrapped


def _restore_hooks(module: nn.Module, before: dict[str, dict[int, Any]]) -> None:
    for name, kept in before.items():
        found = getattr(module, name)
        found.clear()
        found.update(kept)
