"""Local response normalization within each map.

Krizhevsky's cuda-convnet, layer `rnorm`; Caffe, `LRN` with `WITHIN_CHANNEL`; the ZF networks of He et al. 2014,
"Spatial pyramid pooling in deep convolutional networks for visual recognition", have it.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F


@final
class LocalResponseNormWithin(nn.Module):
    """b = a / (1 + alpha * mean(a²))^beta, the mean over the ``window`` x ``window`` (odd) neighbors in the same map.

    Shape: (N, channels, H, W) -> (N, channels, H, W)

    Caffe's convention: alpha is divided by all window², also at the border, where zeros stand in for what is missing.
    """

    def __init__(self, window: int = 3, alpha: float = 5e-5, beta: float = 0.75) -> None:
        super().__init__()
        self.window, self.alpha, self.beta = window, alpha, beta

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the same, each value divided by the power of its neighborhood."""
        power = F.avg_pool2d(maps * maps, self.window, 1, self.window // 2)
        return maps * (1 + self.alpha * power).pow(-self.beta).to(maps.dtype)
