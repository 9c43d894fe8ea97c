"""The update rules under the lectures' names; torch's own do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from convolve.training.recipe import Optimization

_RULES: dict[str, Callable[..., Optimizer]] = {
    "gradient-descent": torch.optim.SGD,
    "sgd": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "nesterov": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_FUSED = frozenset({"gradient-descent", "sgd", "momentum", "nesterov", "adagrad", "adam", "adamw"})
_WITH_MOMENTUM = frozenset({"momentum", "nesterov", "rmsprop"})


def build(network: nn.Module, optimization: Optimization) -> Optimizer:
    """The optimizer of every parameter that learns; ``optimization`` has no None left.

    Weight decay acts on parameters of two dimensions or more, so never on biases and normalisation. It is added to
    the gradient, except with `adamw`, which takes it off the weights (Loshchilov and Hutter 2019, algorithm 2).
    """
    name = str(optimization.optimizer)
    options: dict[str, Any] = {"lr": optimization.rate}
    if name in _FUSED:
        options["fused"] = all(parameter.is_floating_point() for parameter in network.parameters())
    if name in _WITH_MOMENTUM:
        options["momentum"] = optimization.momentum
    if name == "nesterov":
        options["nesterov"] = bool(optimization.momentum)
    return _RULES[name](_groups(network, optimization.weight_decay or 0.0), **options)


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim >= 2], "weight_decay": decay},
        {"params": [parameter for parameter in learning if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
