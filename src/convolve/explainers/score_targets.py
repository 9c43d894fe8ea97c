"""What of a network's outputs is explained: one number for each image.

Every method of attribution explains such a number. For a classifier it is the score of a class, before the softmax.
Vinogradova, Dibrov, Myers 2020, "Toward interpretable semantic segmentation via gradient-weighted class activation
mapping", equation 2, extend that to the pixels of an image: the class's score, summed over a set of pixels.

Deviations: the mean instead of the sum. Of Grad-CAM that changes the scale alone; Score-CAM's softmax and Grad-CAM++'s
coefficients depend on the scale, and are as they are for the score of one image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from convolve.errors import ExplainError, NetworkError
from convolve.models import Network


class ScoreTarget(Protocol):
    """One number for each of N images, computed from what their network puts out.

    A class of one's own needs no base class. Numbers must be differentiable, and an image's must depend on that image
    alone. Class activation maps can only be had where there are ``classes`` and no ``regions``.
    """

    @property
    def classes(self) -> Tensor | None:
        """(N,) the class index whose score each image's number is; None where it is none's."""
        ...

    @property
    def regions(self) -> Tensor | None:
        """(N, H, W) bool, the pixels over which the number is taken; None for the image as a whole."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __call__(self, outputs: Any) -> Tensor:
        """(N,) float32 numbers of the network's outputs for the N images. Raises `ExplainError`."""
        ...

    def take(self, indices: Tensor) -> Self:
        """The target of the images at ``indices`` (M,), in that order; an image may come several times."""
        ...


@dataclass(frozen=True, eq=False)
class ClassScore:
    """The score (or other output) at each image's index in ``classes`` (N,), of outputs (N, K)."""

    classes: Tensor

    @property
    def regions(self) -> None:
        """None: an image has one score for each class."""
        return

    def __len__(self) -> int:
        return len(self.classes)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, K) to (N,). Raises `ExplainError` for a class index out of range, and for outputs of pixels."""
        if outputs.dim() != 2:
            raise ExplainError(
                f"The network's output has the shape {tuple(outputs.shape)}: a score for each position. Choose the "
                "positions to explain with RegionScore, or all of them with SpatialMean."
            )
        check_classes(self.classes, outputs.shape[1])
        return outputs.gather(1, self.classes[:, None].to(outputs.device)).squeeze(1).float()

    def take(self, indices: Tensor) -> ClassScore:
        """The target of some of the images."""
        return ClassScore(self.classes[indices.to(self.classes.device)])


@dataclass(frozen=True, eq=False)
class RegionScore:
    """The mean of the score of each image's class index in ``classes`` (N,) over the pixels in ``regions`` (N, H, W).

    It is 0 for an image whose region has no pixels. Outputs are (N, K, H, W).
    """

    classes: Tensor
    regions: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, K, H, W) to (N,). Raises `ExplainError` for a class index out of range and outputs of another size."""
        if outputs.dim() != 4 or outputs.shape[2:] != self.regions.shape[1:]:
            raise ExplainError(
                f"Regions of {tuple(self.regions.shape[1:])} pixels do not fit outputs of the shape "
                f"{tuple(outputs.shape)}; give regions as large as the output's maps."
            )
        check_classes(self.classes, outputs.shape[1])
        images = torch.arange(len(outputs), device=outputs.device)
        scores = outputs[images, self.classes.to(outputs.device)].float().flatten(1)
        weights = self.regions.to(outputs.device).flatten(1).to(scores.dtype)
        return (scores * (weights / weights.sum(1, keepdim=True).clamp(min=1))).sum(1)

    def take(self, indices: Tensor) -> RegionScore:
        """The target of some of the images."""
        rows = indices.to(self.classes.device)
        return RegionScore(self.classes[rows], self.regions[rows])


@dataclass(frozen=True, eq=False)
class SpatialMean:
    """The score of each image's class index in ``classes`` (N,), averaged over all positions where there are several.

    Outputs are (N, K) or (N, K, H, W).
    """

    classes: Tensor

    @property
    def regions(self) -> None:
        """None: all positions count."""
        return

    def __len__(self) -> int:
        return len(self.classes)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, K) or (N, K, H, W) to (N,). Raises `ExplainError` for a class index out of range."""
        return ClassScore(self.classes)(outputs.mean((2, 3)) if outputs.dim() == 4 else outputs)

    def take(self, indices: Tensor) -> SpatialMean:
        """The target of some of the images."""
        return SpatialMean(self.classes[indices.to(self.classes.device)])


def check_classes(classes: Tensor, count: int) -> None:
    """Raise `ExplainError` unless all (N,) class indices lie in 0 … count - 1."""
    for index in classes.tolist():
        if not 0 <= index < count:
            raise ExplainError(f"There is no class {index}: the network's {count} classes are 0 to {count - 1}.")


def check_image_output(network: Network, what: str) -> None:
    """Raise `NetworkError` for a network whose output is not of the image as a whole."""
    output = network.card.output
    if output != "image":
        given = "a box too" if output == "box" else f"one for each of its {output}"
        raise NetworkError(
            f"{what} needs one output for an image, and {network.card.name} gives {given}; leave it out."
        )
