"""How the networks before Glorot's and He's rules drew their weights: the same spread whatever the fan."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Conv2d | nn.Linear)


def gaussian(layer: Layer, deviation: float, bias: float = 0.0) -> Layer:
    """The layer itself, its weights drawn from N(0, deviation²) and its biases all set to ``bias``.

    Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", section 5:
    biases of 1 give the rectifiers positive inputs from the start.
    """
    nn.init.normal_(layer.weight, 0.0, deviation)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, bias)
    return layer


def uniform(layer: Layer, bound: float) -> Layer:
    """The layer itself, its weights drawn uniformly within ±``bound`` and its biases zero."""
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
