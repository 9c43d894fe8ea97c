"""How fresh weights are drawn. Each function sets one layer and is meant for `nn.Module.apply`; layers without weights
of their own, and normalization (which starts as the identity), are left alone.

The draws come from torch's generator, which `networks.create` seeds.
"""

from __future__ import annotations

from torch import nn


def glorot_uniform(layer: nn.Module) -> None:
    """Weights uniform within ±sqrt(6 / (fan in + fan out)), biases zero; Keras' default.

    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 16.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        _zero_bias(layer)


def he_normal(layer: nn.Module, slope: float = 0.0) -> None:
    """Weights normal with variance 2 / ((1 + slope²) fan in), biases zero; ``slope`` is the rectifier's below 0.

    He et al. 2015, "Delving deep into rectifiers", equations 10 and 15 (the forward case; the paper holds that this or
    the backward case, equation 14, suffices alone).
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, slope, nonlinearity="leaky_relu")
        _zero_bias(layer)


def orthogonal(layer: nn.Module) -> None:
    """Weights whose rows, or columns where they are fewer, are orthonormal; biases zero.

    Saxe, McClelland, Ganguli 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", section 3. The kernels of a convolution are its rows.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(layer.weight)
        _zero_bias(layer)


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
