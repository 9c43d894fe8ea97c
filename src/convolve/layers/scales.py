"""How detection networks join maps of several scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from convolve.layers.description import Series


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
class Scales(nn.Module):
    """Maps, fine to coarse, to outputs, coarse to fine. For each scale there are the ``body``, whose map goes on, its
    ``tip``, which ends in the outputs, and but for the last one ``up``, which leads to the next (Redmon, Farhadi
    2018, section 2.3).
    """

    def __init__(self, scales: Sequence[dict[str, nn.Module]]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(nn.ModuleDict(scale) for scale in scales)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        """[…, (N, C, 2 H, 2 W), (N, D, H, W)] to ((N, outputs, H, W), (N, outputs, 2 H, 2 W), …)."""
        outputs, finer = [], maps[::-1]
        current = finer[0]
        for scale, following in zip(self.scales, [*finer[1:], None], strict=True):
            current = scale["body"](current)
            outputs.append(scale["tip"](current))
            if following is not None:
                current = torch.cat((scale["up"](current), following), 1)
        return tuple(outputs)

    def describe(self) -> Series:
        """Its layers, as if one after the other."""
        return Series(tuple(f"scales.{index}.{name}" for index, scale in enumerate(self.scales) for name in scale))
