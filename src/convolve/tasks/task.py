"""What a task gives the training loop, which never asks which task it is running."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convolve.values import Floats


class Task(Protocol):
    """A network with a target. ``criterion`` names the figure of `measure` that selects; higher is better."""

    network: nn.Module
    criterion: str

    def loss(self, images: Tensor, targets: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        """(N, C, H, W) images and their targets to named scalars; `loss`, the batch's mean, is obligatory."""
        ...

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to scores as people read them (float32)."""
        ...

    def measure(self, scores: Floats, targets: npt.NDArray[np.int64] | npt.NDArray[np.uint8]) -> dict[str, float]:
        """Figures of merit of a whole split, by name."""
        ...
