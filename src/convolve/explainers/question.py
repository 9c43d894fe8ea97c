"""What is asked of a network: a class of each image or, where it tells the class of every pixel, of some of the pixels.

Vinogradova, Dibrov, Myers 2020, "Toward interpretable semantic segmentation via gradient-weighted class activation
mapping", equation 2: the score whose slopes are taken is the class's, summed over a set of pixels. Every method that
explains one score of an image so explains a set of pixels.

Deviations: the mean instead of the sum. Of Grad-CAM that changes the scale alone; Score-CAM's softmax and Grad-CAM++'s
coefficients depend on the scale, and are as they are for the score of one image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.models import Network
from convolve.models.network import Stage


@dataclass(frozen=True, eq=False)
class Question:
    """A class for each of N images, ``classes`` (N,), and the pixels that are meant, ``regions`` (N, H, W) bool; None
    where an image has one score for each class. Both are on the images' device.
    """

    classes: Tensor
    regions: Tensor | None = None

    @property
    def numbers(self) -> Tensor:
        """(N,) which of the scores of `of` or `scores` is each image's own."""
        return self.classes if self.regions is None else torch.arange(len(self.classes), device=self.classes.device)

    def of(self, network: Network) -> Network:
        """A network that shares the network's layers and gives of any images (n, C, H, W) the `scores` (n, …)."""
        return network if self.regions is None else _with_head(network, _Asked(network.head, self))

    def scores(self, values: Tensor) -> Tensor:
        """What is known of every class, (n, classes), as it is; or of every pixel, (n, classes, H, W), to (n, N): the
        mean of each of the N classes over its own pixels, 0 where it has none.
        """
        if self.regions is None:
            return values
        rows = self.regions.flatten(1).to(values.dtype)
        rows = rows / rows.sum(1, keepdim=True).clamp(min=1)
        pairs = zip(self.classes.tolist(), rows, strict=True)
        return torch.stack([(values[:, number].flatten(1) * row).sum(1) for number, row in pairs], dim=1)


def everywhere(network: Network) -> Network:
    """A network of (N, classes) scores that shares the network's layers: of one for pixels the mean over all pixels."""
    return _with_head(network, _Everywhere(network.head)) if network.head_inputs else network


def check_one_answer(network: Network, what: str) -> None:
    """Raise `NetworkError` for a network that tells the class of every pixel."""
    if network.head_inputs:
        raise NetworkError(
            f"{what} needs one answer for an image, and {network.card.name} gives one for every pixel; leave it out."
        )


def _with_head(network: Network, head: nn.Module) -> Network:
    stages = {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }
    return Network(network.card, stages, head, head_inputs=network.head_inputs)


@final
class _Asked(nn.Module):
    def __init__(self, head: nn.Module, question: Question) -> None:
        super().__init__()
        self.head = head
        self._question = question

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """What the head reads to the scores that are asked for."""
        return self._question.scores(self.head(maps, size).float())


@final
class _Everywhere(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """What the head reads to (N, classes)."""
        scores: Tensor = self.head(maps, size)
        return scores.mean((2, 3))
