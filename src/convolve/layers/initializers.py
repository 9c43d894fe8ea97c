"""Initial weights. Those that start at random draw from torch's generator, which `models.create` seeds.

A rule such as `he_normal` sets one layer and is meant for `nn.Module.apply`: it leaves layers without weights of their
own alone, and normalization, which starts as the identity. `gaussian` and `uniform` take one layer and return it.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn

from convolve.layers.lecun import Subsampling, TableConvolution

_Weighted = TypeVar("_Weighted", bound=nn.Conv2d | nn.Linear)


def gaussian(layer: _Weighted, deviation: float, bias: float = 0.0) -> _Weighted:
    """The layer itself, its weights drawn from N(0, deviation²), whatever its fan in, and all biases set to ``bias``.

    Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 5:
    biases of 1 give the rectifiers positive inputs from the start.
    """
    nn.init.normal_(layer.weight, 0.0, deviation)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)
    return layer


def uniform(layer: _Weighted, bound: float) -> _Weighted:
    """The layer itself, its weights drawn uniformly within ±``bound``, whatever its fan in, and its biases zero."""
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


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


def glorot_uniform(layer: nn.Module) -> None:
    """Weights uniform within ±sqrt(6 / (fan in + fan out)), biases zero; Keras' default.

    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 16.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def he_normal(layer: nn.Module, negative_slope: float = 0.0) -> None:
    """Weights normal with variance 2 / ((1 + s²) fan in), s the rectifier's ``negative_slope``; biases zero.

    He et al. 2015, "Delving deep into rectifiers", equations 10 and 15 (the forward case; the paper holds that this or
    the backward case, equation 14, suffices alone).
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, negative_slope, nonlinearity="leaky_relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def orthogonal(layer: nn.Module) -> None:
    """Weights whose rows, or columns where they are fewer, are orthonormal; biases zero.

    Saxe, McClelland, Ganguli 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", section 3. The kernels of a convolution are its rows.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def _draw(values: Tensor, fan_in: Tensor | int) -> None:
    values.uniform_(-2.4, 2.4).div_(fan_in)
