"""What changes in a training: the network, its optimizer and its average, as tensors by name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import final

import torch
from torch import Tensor, nn

from convolve.training import optimizers
from convolve.training.averaging import Average
from convolve.training.recipe import Recipe


@final
class Learner:
    """A network in training; ``recipe`` is resolved."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        self.optimizer = optimizers.build(network, recipe.optimization)
        decay = recipe.regularization.ema_decay or 0.0
        self.ema = Average(network, decay) if decay else None
        self._clip_norm = recipe.optimization.clip_norm or 0.0

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


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy with the parameter's strides, which fused optimizers rely on."""
    return torch.empty_like(parameter).copy_(value).detach() if value.shape == parameter.shape else value.clone()
