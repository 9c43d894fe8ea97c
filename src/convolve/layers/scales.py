"""How detection networks join maps of several scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.description import Ends, Series


@final
class Passthrough(nn.Module):
    """Two maps to a tuple of one: the ``deep`` layers on the last map, the ``fine`` ones on the first, the maps of both
    next to each other, and the ``last`` layers (Redmon, Farhadi 2016, "Fine-Grained Features"). Without ``fine`` there
    is one map.
    """

    def __init__(self, deep: nn.Module, fine: nn.Module | None, last: nn.Module) -> None:
        super().__init__()
        self.deep = deep
        self.fine = fine
        self.last = last

    def forward(self, maps: list[Tensor]) -> tuple[Tensor]:
        """[(N, C, 2 H, 2 W), (N, D, H, W)] to ((N, outputs, H, W),)."""
        deep: Tensor = self.deep(maps[-1])
        return (self.last(deep if self.fine is None else torch.cat((self.fine(maps[0]), deep), 1)),)

    def describe(self) -> Series:
        """Its layers, as if one after the other."""
        return Series(("deep", "fine", "last") if self.fine else ("deep", "last"))


@final
class Scale(nn.Module):
    """The layers of one scale: ``up`` turns the coarser scale's map into one of this scale's size, which is put before
    the stage's map; the ``body``'s map goes on, and the ``tip`` ends in the outputs. The coarsest scale has no ``up``.
    """

    def __init__(self, up: nn.Module | None, body: nn.Module, tip: nn.Module) -> None:
        super().__init__()
        self.up, self.body, self.tip = up, body, tip

    def forward(self, map_: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """The stage's map and the coarser scale's (N, D, H / 2, W / 2) to this scale's map, and the outputs."""
        if self.up is not None and coarser is not None:
            map_ = torch.cat((self.up(coarser), map_), 1)
        current: Tensor = self.body(map_)
        return current, self.tip(current)

    def describe(self) -> Series:
        """Its layers."""
        return Series(("up", "body", "tip") if self.up else ("body", "tip"))


@final
class Scales(nn.Module):
    """Maps, fine to coarse, to outputs, coarse to fine (Redmon, Farhadi 2018, section 2.3)."""

    def __init__(self, scales: Sequence[Scale]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scales)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        """[…, (N, C, 2 H, 2 W), (N, D, H, W)] to ((N, outputs, H, W), (N, outputs, 2 H, 2 W), …)."""
        outputs: list[Tensor] = []
        current: Tensor | None = None
        for scale, map_ in zip(self.scales, reversed(maps), strict=True):
            current, output = scale(map_, current)
            outputs.append(output)
        return tuple(outputs)

    def describe(self) -> Ends:
        """One end for each scale."""
        return Ends(tuple(f"scales.{index}" for index in range(len(self.scales))))
