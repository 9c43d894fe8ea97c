"""Statistics of each layer: mean, standard deviation and fraction of zeros of its activations and their gradients.

Glorot, Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", figures 6 and 7, show
such statistics by layer; a rectifier whose activations are nearly all 0 learns nothing, and gradients that shrink from
layer to layer vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from convolve.explainers.preservation import preserve

Loss = Callable[[nn.Module, Tensor, Any], Tensor]
"""Of a network, images (N, C, H, W) and targets, the mean loss."""


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of many numbers, and the fraction that is exactly 0."""

    mean: float
    deviation: float
    zeros: float


@dataclass(frozen=True)
class LayerStatistics:
    """One layer: its dotted name, its type, its activations, and the gradients of the loss with respect to them."""

    name: str
    type: str
    activations: Moments
    gradients: Moments


def layer_statistics(
    network: nn.Module, batches: Iterable[tuple[Tensor, Any]], loss: Loss
) -> tuple[LayerStatistics, ...]:
    """Of each layer without layers inside, in the order in which they run, over all ``batches`` of images and targets.

    The network is in evaluation mode; a layer that runs several times counts all its activations. Gradients are those
    of ``loss`` for its batch, times the batch's size: of one image's own loss, however large the batches are.
    """
    sums: dict[str, tuple[str, _Sums, _Sums]] = {}
    with preserve(network), torch.enable_grad():
        for name, layer in network.named_modules():
            if not any(True for _ in layer.children()):
                layer.register_forward_hook(_Recorder(name, sums))
        for images, targets in batches:
            inputs = images.detach().clone().requires_grad_()
            torch.autograd.grad(loss(network, inputs, targets) * len(images), inputs)
    return tuple(
        LayerStatistics(name, kind, activations.moments(), gradients.moments())
        for name, (kind, activations, gradients) in sums.items()
    )


@final
class _Sums:
    """Count, mean, mean square and fraction of zeros of all numbers added, combined in float64."""

    def __init__(self) -> None:
        self._count = self._mean = self._square = self._zeros = 0.0

    def add(self, numbers: Tensor) -> None:
        values, count = numbers.detach().float(), numbers.numel()
        fraction = count / (self._count + count)
        self._count += count
        self._mean += fraction * (float(values.sum()) / count - self._mean)
        self._square += fraction * (float(torch.linalg.vector_norm(values)) ** 2 / count - self._square)
        self._zeros += fraction * (1 - int(torch.count_nonzero(values)) / count - self._zeros)

    def moments(self) -> Moments:
        if not self._count:
            return Moments(float("nan"), float("nan"), float("nan"))
        return Moments(self._mean, max(self._square - self._mean**2, 0.0) ** 0.5, self._zeros)


@final
class _Recorder:
    """The forward hook of one layer: its output is counted at once, before a later layer overwrites it."""

    def __init__(self, name: str, sums: dict[str, tuple[str, _Sums, _Sums]]) -> None:
        self._name, self._sums = name, sums

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        del inputs
        _, activations, gradients = self._sums.setdefault(self._name, (type(layer).__name__, _Sums(), _Sums()))
        activations.add(output)
        if output.requires_grad:
            output.register_hook(gradients.add)  # type: ignore[no-untyped-call]
