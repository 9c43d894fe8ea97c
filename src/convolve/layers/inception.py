"""Inception modules: parallel branches of convolutions and pooling, whose maps are concatenated.

Szegedy et al. 2014, "Going deeper with convolutions", section 4 and figure 2. With a residual connection: Szegedy,
Ioffe, Vanhoucke, Alemi 2016, "Inception-v4, Inception-ResNet and the impact of residual connections on learning",
sections 3.2 and 3.3.

A paper's figure of a module is written in steps, each of which builds its layer once it knows the channels that enter:
`concatenate(conv(64), chain(conv(96), conv(128, 3)))` has a branch of one convolution and a branch of two.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.description import Parallel, Skip

Step = Callable[[int], tuple[nn.Module, int]]
"""Builds a layer for the channels that enter it; returns it with the channels that leave it."""


@final
class Branches(nn.Module):
    """The outputs of all branches for the same maps, concatenated along the channels."""

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to (N, sum of the branches' channels, H', W')."""
        return torch.cat([branch(maps) for branch in self.branches], 1)

    def describe(self) -> Parallel:
        """The branches."""
        return Parallel(tuple(f"branches.{name}" for name, _ in self.branches.named_children()))


@final
class ScaledResidual(nn.Module):
    """x + scale * branch(x), then the activation (Szegedy et al. 2016, section 3.3 and figure 20)."""

    def __init__(self, branch: nn.Module, scale: float, activation: nn.Module) -> None:
        super().__init__()
        self.scale = scale
        self.branch = branch
        self.activation = activation

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to the same shape."""
        merged: Tensor = self.activation(torch.add(maps, self.branch(maps), alpha=self.scale))
        return merged

    def describe(self) -> Skip:
        """A branch with a skip."""
        return Skip("branch")


def chain(*steps: Step) -> Step:
    """Steps one after the other."""

    def build(channels: int) -> tuple[nn.Module, int]:
        layers: list[nn.Module] = []
        for step in steps:
            layer, channels = step(channels)
            layers.append(layer)
        return nn.Sequential(*layers), channels

    return build


def concatenate(*branches: Step) -> Step:
    """Branches that read the same maps, their outputs concatenated."""

    def build(channels: int) -> tuple[nn.Module, int]:
        layers, widths = zip(*(branch(channels) for branch in branches), strict=True)
        return Branches(layers), sum(widths)

    return build


def pooling(build: Callable[[], nn.Module]) -> Step:
    """A pooling, or another layer that keeps the number of channels; a new one is built wherever the step is used."""
    return lambda channels: (build(), channels)


def conv_norm(
    width: int, kernel: int | tuple[int, int] = 1, stride: int = 1, *, padded: bool = True, eps: float = 1e-5
) -> Step:
    """Convolution without bias, batch normalization and ReLU; ``kernel`` is one odd side or (down, across).

    ``padded`` convolutions of stride 1 keep the map's size; the others lose its border ("V" in the 2016 paper).
    """
    down, across = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (down // 2, across // 2) if padded else (0, 0)

    def build(channels: int) -> tuple[nn.Module, int]:
        layers = OrderedDict(
            conv=nn.Conv2d(channels, width, (down, across), stride, padding, bias=False),
            norm=nn.BatchNorm2d(width, eps),
            relu=nn.ReLU(inplace=True),
        )
        return nn.Sequential(layers), width

    return build
