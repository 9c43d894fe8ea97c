"""Turning the layers of a classifier into layers for maps of any size.

Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", section 3.1 and figure 2 (dense
layers), section 3.2 (filter rarefaction: strides taken out, kernels spread).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.geometry import windows

_POOLINGS = nn.MaxPool2d | nn.AvgPool2d


def as_convolution(layer: nn.Linear, channels: int) -> nn.Conv2d:
    """A dense layer on square maps of ``channels`` as a convolution over the whole map, with the same weights."""
    side = math.isqrt(layer.in_features // channels)
    convolution = nn.Conv2d(channels, layer.out_features, side, device="meta")
    convolution.weight = nn.Parameter(layer.weight.detach().reshape(convolution.weight.shape))
    convolution.bias = nn.Parameter(layer.bias.detach())
    return convolution


def round_up(layer: nn.Module) -> None:
    """Let a pooling round up, as in Caffe, so that no unit is left over."""
    if isinstance(layer, _POOLINGS):
        layer.ceil_mode = True


def keep_size(layer: nn.Module) -> None:
    """Pad a layer's window so that n units of a side leave n / stride, rounded up. Layers without a window stay.

    A convolution of even kernel leaves one unit more: its units stand between those that it reads. Raises
    `NetworkError` for a layer that cannot pad.
    """
    if isinstance(layer, nn.ZeroPad2d):
        layer.padding = (0, 0, 0, 0)  # the layer that it padded for pads now
    sides = windows(layer)
    if not sides:
        return
    even = any(side.kernel % 2 == 0 for side in sides)
    down, across = (side.dilation * (side.kernel - (not even)) // 2 for side in sides)
    padding = (down, across)
    if isinstance(layer, _POOLINGS):
        layer.padding, layer.ceil_mode = ((0, 0), True) if even else (padding, False)
    elif isinstance(layer, nn.Conv2d) and not (even and max(layer.stride) > 1):
        layer.padding = padding
    elif any(side.kernel > 1 for side in sides):
        raise NetworkError(f"A {type(layer).__name__} cannot be padded to keep its map's size; choose another network.")


def dilate(layers: Iterable[nn.Module], dilation: int) -> int:
    """Take the strides out of a stage's convolutions and spread the kernels behind them, so that all of its units are
    computed as they were, and those between them too; the dilation for the stage that follows is given back.

    ``dilation`` is what the stages before have left. Raises `NetworkError` where a pooling strides.
    """
    spread = dilation
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            sides = windows(layer) or ()
            layer.padding = tuple(side.padding * spread for side in sides)
            layer.dilation = (spread, spread)
            if max(layer.stride) > 1:
                spread = dilation * layer.stride[0]
                layer.stride = (1, 1)
        elif any(side.stride > 1 for side in windows(layer) or ()):
            raise NetworkError("Only convolutions can be dilated, and here a pooling strides; choose a ResNet.")
    return spread
