"""LeCun's rules for fresh weights. Each function sets one layer and is meant for `nn.Module.apply`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from convolve.layers.subsampling import Subsampling
from convolve.layers.table_convolution import TableConvolution


def lecun_fan_in(layer: nn.Module) -> None:
    """Weights and biases uniform within ±2.4 / fan in, for the scaled tanh.

    LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", appendix A: divided
    by the fan in itself, since the inputs of some units are highly correlated.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        fan_in = math.prod(layer.weight.shape[1:])
        _draw(layer.weight, fan_in)
        if layer.bias is not None:
            _draw(layer.bias, fan_in)
    elif isinstance(layer, Subsampling):
        _draw(layer.weight, layer.kernel_size**2)
        _draw(layer.bias, layer.kernel_size**2)
    elif isinstance(layer, TableConvolution):
        for values, fan in zip((layer.weight, layer.bias), layer.fan_in(), strict=True):
            _draw(values, fan)


def lecun_uniform(layer: nn.Module) -> None:
    """Weights uniform with variance 1 / fan in, biases zero; what Caffe calls `xavier`.

    LeCun, Bottou, Orr, Müller 1998, "Efficient backprop", equation 16.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        limit = math.sqrt(3 / math.prod(layer.weight.shape[1:]))
        nn.init.uniform_(layer.weight, -limit, limit)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def _draw(values: Tensor, fan_in: Tensor | int) -> None:
    values.uniform_(-2.4, 2.4).div_(fan_in)
