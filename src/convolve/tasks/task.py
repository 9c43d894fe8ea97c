"""What a task gives the training loop, which never asks which task it is running."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from convolve.values import Floats, Targets


class Task(Protocol):
    """A network with a target. ``criterion`` names the figure of `measure` that selects; higher is better."""

    criterion: str

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """(N, C, H, W) images and their targets to named scalars; `loss`, the batch's mean, is obligatory."""
        ...

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to scores as people read them (float32)."""
        ...

    def measure(self, scores: Floats, targets: Targets) -> dict[str, float]:
        """Figures of merit of a whole split, by name."""
        ...
