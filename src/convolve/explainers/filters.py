"""The filters of the first layer, as small images.

Krizhevsky, Sutskever, Hinton 2012, "ImageNet classification with deep convolutional neural networks", figure 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.lecun import TableConvolution
from convolve.summary import summarize
from convolve.values import Floats, Pixels

_GRAY, _RANGE = 127.5, 127.5


@dataclass(frozen=True)
class Filters:
    """The layer's name, and ``weights`` (K, h, w, C): one filter for each of K units, with the image's C channels."""

    layer: str
    weights: Floats


def first_filters(network: nn.Module, input: tuple[int, int, int]) -> Filters:  # noqa: A002
    """The weights of the first layer that has some, for images (channels, height, width).

    Of a dense layer that takes in the pixels themselves each unit's weights are an image as large as the input. Raises
    `NetworkError` where the first weights are not applied to the image, as after a normalization.
    """
    rows = (row for row in summarize(network, input).layers if row.parameters)
    name = next((row.name for row in rows), None)
    if name is None:
        raise NetworkError("The network has no weights, so that there are no filters to show; leave filters out.")
    kernels = _kernels(network.get_submodule(name), input)
    if kernels is None:
        raise NetworkError(
            f"The first weights of the network, {name}, are not filters on the image; leave filters out."
        )
    return Filters(name, np.ascontiguousarray(kernels.detach().float().cpu().permute(0, 2, 3, 1).numpy()))


def filters_to_pixels(weights: Floats) -> Pixels:
    """(K, h, w, C) uint8: each filter scaled by itself, 0 a middle gray, its weight farthest from 0 black or white."""
    farthest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = np.divide(weights, farthest, out=np.zeros_like(weights), where=farthest > 0)
    return np.asarray((_GRAY + _RANGE * scaled).round(), dtype=np.uint8)


def _kernels(layer: nn.Module, shape: tuple[int, int, int]) -> Tensor | None:
    """(K, C, h, w), or None where the layer's weights are no filters on images (channels, height, width)."""
    if isinstance(layer, nn.Conv2d) and layer.weight.shape[1] == shape[0]:
        return layer.weight
    if isinstance(layer, nn.Linear) and layer.in_features == shape[0] * shape[1] * shape[2]:
        return layer.weight.reshape(-1, *shape)
    if isinstance(layer, TableConvolution) and layer.channels == shape[0]:
        return layer.dense_kernels()
    return None
