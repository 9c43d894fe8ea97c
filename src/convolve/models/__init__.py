"""Every network of the lectures, one file per paper; `create` builds one by name.

`timm/NAME` and `torchvision/NAME` are these libraries' networks (`convolve.models.foreign`).
"""

from __future__ import annotations

from convolve.models.network import Card, Network, Stage, Variant, freeze, freeze_normalization, save_memory
from convolve.models.registry import card, card_of_counterpart, counterpart, create, define, names, takes_design

__all__ = [
    "Card",
    "Network",
    "Stage",
    "Variant",
    "card",
    "card_of_counterpart",
    "counterpart",
    "create",
    "define",
    "freeze",
    "freeze_normalization",
    "names",
    "save_memory",
    "takes_design",
]
