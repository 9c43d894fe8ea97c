"""What changes in a training: the network, its optimizer and its average, as tensors by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from itertools import chain, islice
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from convolve.training.recipe import Optimization, Recipe

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


@final
class Learner:
    """A network in training; ``recipe`` is resolved."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        self.optimizer = build_optimizer(network, recipe.optimization)
        decay = recipe.regularization.ema_decay or 0.0
        self.ema = Average(network, decay) if decay else None
        self._clip_norm = recipe.optimization.clip_norm or 0.0
        self._parts: dict[str, list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            first, _, rest = name.partition(".")
            part = rest.partition(".")[0] if first == "stages" else first
            self._parts.setdefault(part, []).append(parameter)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated and saved: the average where there is one."""
        return self.ema.network if self.ema else self.network

    def train(self) -> None:
        """Training mode, except for modules whose parameters are all frozen: these stay in evaluation mode."""
        self.network.train()
        for module in self.network.modules():
            frozen = [not parameter.requires_grad for parameter in module.parameters()]
            if frozen and all(frozen):
                module.eval()

    def update(self, learning_rate: float, steps: int, gradient_scale: float = 1.0) -> None:
        """Update number ``steps`` (from 1) of the training, with the accumulated gradients times ``gradient_scale``."""
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        if gradient_scale != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(gradient_scale)
        if self._clip_norm:
            nn.utils.clip_grad_norm_(parameters, self._clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.follow(steps)

    def gradient_norms(self) -> dict[str, float]:
        """The L2 norm of the gradient of each stage, the head, and whatever else the network is made of, as it has been
        accumulated and before clipping; of parts that learn.
        """
        gradients = {
            name: [parameter.grad for parameter in parameters if parameter.grad is not None]
            for name, parameters in self._parts.items()
        }
        norms = [torch.linalg.vector_norm(each) for part in gradients.values() for each in part]
        values = iter(torch.stack(norms).tolist() if norms else ())
        return {name: math.hypot(*islice(values, len(part))) for name, part in gradients.items() if part}

    def is_finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(parameter.isfinite().all()) for parameter in self.network.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name; the optimizer's as `optimizer.PARAMETER.ENTRY`."""
        found = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.ema:
            found |= {f"average.{name}": tensor for name, tensor in self.ema.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            entries = self.optimizer.state.get(parameter, {})
            found |= {f"optimizer.{name}.{key}": value for key, value in entries.items() if torch.is_tensor(value)}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what `tensors` gave; in place, or in the layout of the parameter."""
        self.network.load_state_dict(_below("network.", tensors))
        if self.ema:
            self.ema.network.load_state_dict(_below("average.", tensors))
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        order = chain.from_iterable(group["params"] for group in self.optimizer.param_groups)
        entries = {
            index: {key: _laid_out(value, parameter) for key, value in found.items()}
            for index, parameter in enumerate(order)
            if (found := _below(f"optimizer.{names[parameter]}.", tensors))
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
        self.optimizer.zero_grad()


@final
class Average:
    """A second network whose weights and running statistics follow a first one's.

    After step n (from 1) each number moves by ``1 - min(decay, (1 + n) / (10 + n))`` of the way (the ramp of
    TensorFlow's ExponentialMovingAverage), so that short trainings are not held back by where they started. PyTorch's
    `AveragedModel` copies the weights at its first update, and averages integers too or no running statistics at all.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.decay = decay
        self._followed = list(network.state_dict().values())
        self._averaged = list(self.network.state_dict().values())

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """Move, after the first network has made its step number ``steps``, counted from 1."""
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for averaged, followed in zip(self._averaged, self._followed, strict=True):
            if averaged.is_floating_point():
                averaged.lerp_(followed, weight)
            else:
                averaged.copy_(followed)


def build_optimizer(network: nn.Module, optimization: Optimization) -> Optimizer:
    """The optimizer of every parameter that learns; ``optimization`` has no None left.

    Biases of convolutions and fully connected layers have ``bias_rate`` times the learning rate. Weight decay acts on
    parameters of two dimensions or more, so never on biases and normalization layers. It is added to the gradient,
    except with `adamw`, which subtracts it from the weights (Loshchilov and Hutter 2019, algorithm 2). Each group of
    parameters has a ``factor``, by which its learning rate is multiplied.
    """
    name = str(optimization.optimizer)
    options: dict[str, Any] = {"lr": optimization.learning_rate}
    if name in _FUSED:
        options["fused"] = all(parameter.is_floating_point() for parameter in network.parameters())
    if name in _WITH_MOMENTUM:
        options["momentum"] = optimization.momentum
    if name == "nesterov":
        options["nesterov"] = bool(optimization.momentum)

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
    return _RULES[name]([group for group in groups if group["params"]], **options)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy with the parameter's strides, which fused optimizers rely on."""
    return torch.empty_like(parameter).copy_(value).detach() if value.shape == parameter.shape else value.clone()
