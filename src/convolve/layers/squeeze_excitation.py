"""Squeeze-and-excitation.

Hu, Shen, Sun 2017, "Squeeze-and-excitation networks", section 3 and figure 1.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from convolve.layers.description import Gate

REDUCTION = 16  # section 5.1: "set to 16 by default"


@final
class SqueezeExcitation(nn.Module):
    """Each channel times a gate that is computed from all channels' means: sigmoid(W2 relu(W1 mean)), equations 2 to 4.

    Shape: (N, channels, H, W) -> (N, channels, H, W)

    The two dense layers are 1x1 convolutions with biases, as in the authors' files; between them are a sixteenth of the
    channels, but at least ``least``.
    """

    def __init__(self, channels: int, least: int = 1) -> None:
        super().__init__()
        squeezed = max(least, channels // REDUCTION)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.down = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.up = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) maps to the same shape, each channel of each image multiplied by a number between 0 and 1."""
        gates: Tensor = self.gate(self.up(self.relu(self.down(self.squeeze(maps)))))
        return maps * gates

    def describe(self) -> Gate:
        """A gate."""
        return Gate()
