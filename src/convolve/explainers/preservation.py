"""Looking into a network without changing it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from convolve.explainers.score_targets import ScoreTarget

Layer = str | nn.Module | None
"""The layer whose maps are read: a stage's name, a submodule's dotted name, the submodule itself, or None for the
default."""
Attribute = Callable[[nn.Module, Tensor, ScoreTarget, Layer], Tensor]
"""A method of attribution: of a network, images (N, C, H, W), what is explained of each and a layer, (N, h, w)."""
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
def preserve(network: nn.Module) -> Iterator[None]:
    """Inside, the network is in evaluation mode, and its parameters require no gradient and have none.

    Afterwards, also after an exception, the mode of each module, whether each parameter requires a gradient, the
    gradients, the modules' hooks and torch's random state are what they were.
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
            for parameter, (requires_grad, gradient) in zip(parameters, gradients, strict=True):
                parameter.requires_grad_(requires_grad)
                parameter.grad = gradient


def preserves_network(attribute: Attribute) -> Attribute:
    """A method of attribution that runs inside `preserve` and returns float32, detached from any graph.

    It also works in the caller's inference mode, whose tensors no gradient can be computed with: they are copied.
    """

    @functools.wraps(attribute)
    def wrapped(network: nn.Module, images: Tensor, target: ScoreTarget, layer: Layer = None) -> Tensor:
        with torch.inference_mode(mode=False), preserve(network):
            images = images.clone() if images.is_inference() else images.detach()
            target = target.take(torch.arange(len(images), device=images.device))
            return attribute(network, images, target, layer).detach().float()

    return wrapped


def _restore_hooks(module: nn.Module, before: dict[str, dict[int, Any]]) -> None:
    for name, hooks in before.items():
        current = getattr(module, name)
        current.clear()
        current.update(hooks)
