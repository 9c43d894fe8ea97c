"""The convolution of the YOLO networks: with batch normalization and a leaky rectifier.

Deviations: running statistics move by a tenth of the way in a step, where the authors' program moves them by a
hundredth, so that trainings of a few hundred steps evaluate with statistics of their own.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

NEGATIVE_SLOPE = 0.1


def leaky_convolution(
    channels: int, width: int, kernel: int = 3, stride: int = 1, *, normalized: bool = True
) -> nn.Sequential:
    """A convolution that keeps the map's size but for its stride, normalization instead of a bias unless not
    ``normalized``, and a rectifier whose slope for negative values is 0.1 (Redmon et al. 2015, equation 2).

    Shape: (N, channels, H, W) -> (N, width, H, W)
    """
    layers = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=not normalized)
    )
    if normalized:
        layers["norm"] = nn.BatchNorm2d(width)
    layers["leaky"] = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)
    return nn.Sequential(layers)
