"""Local response normalization, across the channels and within each map."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


@final
class LocalResponseNorm(nn.Module):
    """b_i = a_i / (k + alpha * sum_j a_j²)^beta, j over the ``window`` (odd) channels around i that exist.

    Shape: (N, channels, H, W) -> (N, channels, H, W)

    ``alpha`` multiplies the sum as in the paper, whose constants are the defaults; `caffe_lrn` takes Caffe's. The sum
    over neighbors is a 1x1 convolution with a band of ones: it is several times as fast in fp32 as torch's own layer,
    which pools a five-dimensional copy, and it runs in bfloat16. The gradient is written out, which saves another two
    fifths of the time, but cannot be differentiated again.

    Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 3.3.
    """

    band: Tensor
    constant: Tensor

    def __init__(self, channels: int, window: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.channels, self.window, self.alpha, self.beta, self.k = channels, window, alpha, beta, k
        reach = window // 2
        band = torch.ones(channels, channels).tril(reach).triu(-reach) * alpha
        self.register_buffer("band", band[:, :, None, None], persistent=False)
        self.register_buffer("constant", torch.full((channels,), k), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape, each value divided by the power of its neighbors."""
        normalized: Tensor = _Normalized.apply(maps, self.band, self.constant, self.beta)
        return normalized

    def with_channels(self, channels: int) -> LocalResponseNorm:
        """The same for another number of channels, on the same device."""
        return LocalResponseNorm(channels, self.window, self.alpha, self.beta, self.k).to(self.band.device)


class _Normalized(Function):
    """b = a p^-beta, where p = k + B a² with the symmetric band B; a gradient g becomes g p^-beta - 2 beta a B(g a
    p^(-beta - 1)).
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, band: Tensor, constant: Tensor, beta: float) -> Tensor:
        power = F.conv2d(maps * maps, band, constant).to(maps.dtype)
        scale = power.pow(-beta)
        ctx.save_for_backward(maps, band, power, scale)
        ctx.beta = beta
        return maps * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        maps, band, power, scale = ctx.saved_tensors
        scaled = gradient * scale
        around = F.conv2d((scaled * maps).div_(power), band.to(power.dtype))
        return torch.addcmul(scaled, around, maps, value=-2 * ctx.beta), None, None, None


def caffe_lrn(channels: int, window: int, alpha: float, beta: float, k: float = 1.0) -> LocalResponseNorm:
    """Caffe's convention (torch's too): ``alpha`` is divided by the window, and k is 1 unless given."""
    return LocalResponseNorm(channels, window, alpha / window, beta, k)


@final
class LocalResponseNormWithin(nn.Module):
    """b = a / (1 + alpha * mean(a²))^beta, the mean over the ``window`` x ``window`` (odd) neighbors in the same map.

    Shape: (N, channels, H, W) -> (N, channels, H, W)

    Caffe's convention: alpha is divided by window² at the border too, where the missing neighbors are zeros.

    Krizhevsky's cuda-convnet, layer `rnorm`; Caffe, `LRN` with `WITHIN_CHANNEL`; the ZF networks of He et al. 2014,
    "Spatial pyramid pooling in deep convolutional networks for visual recognition", have it.
    """

    def __init__(self, window: int = 3, alpha: float = 5e-5, beta: float = 0.75) -> None:
        super().__init__()
        self.window, self.alpha, self.beta = window, alpha, beta

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape, each value divided by the power of its neighborhood."""
        power = F.avg_pool2d(maps * maps, self.window, 1, self.window // 2)
        return maps * (1 + self.alpha * power).pow(-self.beta).to(maps.dtype)
