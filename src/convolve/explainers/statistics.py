"""What flows through every layer: mean, deviation and share of zeros of its values and of the slopes that come back.

Glorot, Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", figures 6 and 7, show
such figures by layer; a rectifier whose values are nearly all 0 learns nothing, and slopes that shrink from layer to
layer vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from convolve.explainers.untouched import untouched

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Of a network, images (N, C, H, W) and targets, the mean loss."""


@dataclass(frozen=True)
class Moments:
    """Of all numbers that were met: their mean, deviation, and the share that are exactly 0."""

    mean: float
    deviation: float
    zeros: float


@dataclass(frozen=True)
class LayerStatistics:
    """One layer: its path of attributes, its type, what leaves it, and the loss's slopes by what leaves it."""

    name: str
    type: str
    values: Moments
    slopes: Moments


def layer_statistics(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss
) -> tuple[LayerStatistics, ...]:
    """Of every layer without layers inside, in the order in which the images meet them, over all ``batches``.

    The network is in evaluation mode; a layer that runs several times counts all its values. Slopes are those of
    ``loss`` for its batch, times the batch's size: of one image's own loss, however large the batches are.
    """
    sums: dict[str, tuple[str, _Sums, _Sums]] = {}
    with untouched(network), torch.enable_grad():
        for name, layer in network.named_modules():
            if not any(True for _ in layer.children()):
                layer.register_forward_hook(_Watcher(name, sums))
        for images, targets in batches:
            inputs = images.detach().clone().requires_grad_()
            torch.autograd.grad(loss(network, inputs, targets) * len(images), inputs)
    return tuple(
        LayerStatistics(name, kind, values.moments(), slopes.moments()) for name, (kind, values, slopes) in sums.items()
    )


@final
class _Sums:
    """Count, mean, mean square and zeros of all numbers met, joined in float64."""

    def __init__(self) -> None:
        self._count = self._mean = self._square = self._zeros = 0.0

    def add(self, numbers: Tensor) -> None:
        values, count = numbers.detach().float(), numbers.numel()
        share = count / (self._count + count)
        self._count += count
        self._mean += share * (float(values.sum()) / count - self._mean)
        self._square += share * (float(torch.linalg.vector_norm(values)) ** 2 / count - self._square)
        self._zeros += share * (1 - int(torch.count_nonzero(values)) / count - self._zeros)

    def moments(self) -> Moments:
        if not self._count:
            return Moments(float("nan"), float("nan"), float("nan"))
        return Moments(self._mean, max(self._square - self._mean**2, 0.0) ** 0.5, self._zeros)


@final
class _Watcher:
    """The forward hook of one layer: what leaves it is counted at once, before a later layer writes over it."""

    def __init__(self, name: str, sums: dict[str, tuple[str, _Sums, _Sums]]) -> None:
        self._name, self._sums = name, sums

    def __call__(self, layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        del given
        _, values, slopes = self._sums.setdefault(self._name, (type(layer).__name__, _Sums(), _Sums()))
        values.add(output)
        if output.requires_grad:
            output.register_hook(slopes.add)  # type: ignore[no-untyped-call]
