"""The update rules by name, as torch has them."""

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
_WITH_BIAS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_WITH_MOMENTUM = frozenset({"momentum", "nesterov", "rmsprop"})


def build(network: nn.Module, optimization: Optimization) -> Optimizer:
    """The optimizer of every parameter that learns; ``optimization`` has no None left.

    Biases of convolutions and fully connected layers have ``bias_rate`` times the learning rate. Weight decay acts on
    parameters of two dimensions or more, so never on biases and normalization layers. It is added to the gradient,
    except with `adamw`, which subtracts it from the weights (Loshchilov and Hutter 2019, algorithm 2).
    """
    name = str(optimization.optimizer)
    options: dict[str, Any] = {"lr": optimization.learning_rate}
    if name in _FUSED:
        options["fused"] = all(parameter.is_floating_point() for parameter in network.parameters())
    if name in _WITH_MOMENTUM:
        options["momentum"] = optimization.momentum
    if name == "nesterov":
        options["nesterov"] = bool(optimization.momentum)
    return _RULES[name](_groups(network, optimization), **options)


def _groups(network: nn.Module, optimization: Optimization) -> list[dict[str, Any]]:
    """Groups of parameters, of which ``factor`` multiplies the learning rate."""
    decay = optimization.weight_decay or 0.0
    factor = 1.0 if optimization.bias_rate is None else optimization.bias_rate
    layers = [module for module in network.modules() if isinstance(module, _WITH_BIAS)]
    biases = {layer.bias for layer in layers if layer.bias is not None}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    flat = [parameter for parameter in learning if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": [entry for entry in learning if entry.ndim >= 2], "weight_decay": decay, "factor": 1.0},
        {"params": [entry for entry in flat if entry not in biases], "weight_decay": 0.0, "factor": 1.0},
        {"params": [entry for entry in flat if entry in biases], "weight_decay": 0.0, "factor": factor},
    ]
    return [group for group in groups if group["params"]]
