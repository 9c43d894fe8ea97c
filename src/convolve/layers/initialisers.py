"""How fresh weights are drawn. Each function sets one layer and is meant for `nn.Module.apply`; layers without weights
of their own, and normalisation (which starts as the identity), are left alone.

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


def he_normal(layer: nn.Module) -> None:
    """Weights normal with variance 2 / fan in, biases zero.

    He et al. 2015, "Delving deep into rectifiers", equation 10 (the forward case; the paper holds that this or the
    backward case, equation 14, suffices alone).
    """
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        _zero_bias(layer)


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
