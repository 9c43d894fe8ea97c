"""What moves in a training: the network, its optimizer and its average, as tensors by name."""

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
    """A network on its way; ``recipe`` is settled."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = network
        self.optimizer = optimizers.build(network, recipe.optimization)
        decay = recipe.regularization.average or 0.0
        self.average = Average(network, decay) if decay else None
        self._clip = recipe.optimization.clip or 0.0

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.average.network if self.average else self.network

    def train(self) -> None:
        """Training mode, except for modules whose parameters are all frozen: these stay in evaluation mode."""
        self.network.train()
        for module in self.network.modules():
            frozen = [not parameter.requires_grad for parameter in module.parameters()]
            if frozen and all(frozen):
                module.eval()

    def move(self, rate: float, steps: int, share: float = 1.0) -> None:
        """One update with the gathered gradients times ``share``, the training's number ``steps``, from 1."""
        moving = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        if share != 1:
            for parameter in moving:
                if parameter.grad is not None:
                    parameter.grad.mul_(share)
        if self._clip:
            nn.utils.clip_grad_norm_(moving, self._clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["times"]
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average:
            self.average.follow(steps)

    def sound(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(parameter.isfinite().all()) for parameter in self.network.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """Everything by name; the optimizer's as `optimizer.PARAMETER.ENTRY`."""
        found = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.average:
            found |= {f"average.{name}": tensor for name, tensor in self.average.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            entries = self.optimizer.state.get(parameter, {})
            found |= {f"optimizer.{name}.{key}": value for key, value in entries.items() if torch.is_tensor(value)}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave; everything keeps its place in memory or gets its parameter's layout."""
        self.network.load_state_dict(_below("network.", tensors))
        if self.average:
            self.average.network.load_state_dict(_below("average.", tensors))
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
