"""The exponential moving average of the weights."""

from __future__ import annotations

import copy
from typing import final

import torch
from torch import nn


@final
class Average:
    """A second network whose weights and running statistics follow a first one's.

    After step n (from 1) each number moves by ``1 - min(decay, (1 + n) / (10 + n))`` of the way (the ramp of
    TensorFlow's ExponentialMovingAverage), so that short trainings are not held back by where they started.
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
        for kept, followed in zip(self._averaged, self._followed, strict=True):
            if kept.is_floating_point():
                kept.lerp_(followed, weight)
            else:
                kept.copy_(followed)
