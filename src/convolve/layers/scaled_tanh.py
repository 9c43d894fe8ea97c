"""The stretching function of the LeNets.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B and
appendix A.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

AMPLITUDE = 1.7159
SLOPE = 2 / 3


@final
class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3), so that f(1) = 1 and f(-1) = -1, where its second derivative is largest."""

    def forward(self, sums: Tensor) -> Tensor:
        """Any shape to the same."""
        return AMPLITUDE * torch.tanh(SLOPE * sums)
