"""Every network of the lectures, one file per paper; `create` builds one by name.

`timm/NAME` and `torchvision/NAME` are these libraries' networks (`convolve.models.foreign`).
"""

from __future__ import annotations

from convolve.models.network import Card, Network, Stage, Variant, freeze, save_memory
from convolve.models.registry import card, counterpart, create, names

__all__ = ["Card", "Network", "Stage", "Variant", "card", "counterpart", "create", "freeze", "names", "save_memory"]
