"""Convolutional networks built of the layers here, each computing from (N, C, H, W) to scores (N, classes)."""

from __future__ import annotations

from convolve.from_scratch.layers import (
    Draw,
    Dropout,
    Layer,
    activation_layer,
    affine_layer,
    average_pool_layer,
    convolution_layer,
    flatten_layer,
    max_pool_layer,
)
from convolve.from_scratch.network import Network
from convolve.from_scratch.windows import Sliding

VGG_STAGES = ((32, 32), (64, 64), (128, 128))
"""Widths of the 3x3 convolutions between two poolings, as in table 1 of the paper, but narrow and few."""


def simple_convnet(draw: Draw, filters: int = 30, hidden: int = 100, classes: int = 10) -> Network:
    """(N, 1, 28, 28): the smallest complete one, [CONV-RELU-POOL]-[FC-RELU]-FC-SOFTMAX; slide "전형적 구조"."""
    return Network(
        [
            convolution_layer(draw, 1, filters, (5, 5)),  # 28 -> 24
            activation_layer("relu"),
            max_pool_layer(2, 2),  # 12
            flatten_layer(),
            affine_layer(draw, filters * 12 * 12, hidden),
            activation_layer("relu"),
            affine_layer(draw, hidden, classes),
        ]
    )


def lenet5(draw: Draw, classes: int = 10) -> Network:
    """(N, 1, 28, 28) to (N, classes), 61,706 parameters at 10: the slide's Keras listing "LeNet의 구조".

    LeCun et al. 1998, figure 2. Deviations, the listing's own: average pooling without trainable coefficients, C3
    connected to all of S2, softmax in place of the radial basis functions; plain tanh.
    """
    return Network(
        [
            convolution_layer(draw, 1, 6, (5, 5), Sliding(padding=2)),  # C1: 28
            activation_layer("tanh"),
            average_pool_layer(2, 2),  # S2: 14
            convolution_layer(draw, 6, 16, (5, 5)),  # C3: 10
            activation_layer("tanh"),
            average_pool_layer(2, 2),  # S4: 5
            flatten_layer(),
            affine_layer(draw, 16 * 5 * 5, 120),  # C5
            activation_layer("tanh"),
            affine_layer(draw, 120, 84),  # F6
            activation_layer("tanh"),
            affine_layer(draw, 84, classes),
        ]
    )


def small_vgg(draw: Draw, channels: int = 1, side: int = 28, classes: int = 10) -> Network:
    """(N, channels, side, side): VGG's pattern at a size for small images. ``side`` is at least 8.

    Simonyan & Zisserman 2015: 3x3 convolutions padded by 1, each with ReLU; 2x2 poolings; ReLU and dropout between
    the affine layers. Deviations: the three stages of `VGG_STAGES` for five, one hidden layer of 256 for two of 4096.
    """
    layers: list[Layer] = []
    for widths in VGG_STAGES:
        for width in widths:
            layers += [convolution_layer(draw, channels, width, (3, 3), Sliding(padding=1)), activation_layer("relu")]
            channels = width
        layers.append(max_pool_layer(2, 2))
        side //= 2
    layers += [flatten_layer(), affine_layer(draw, channels * side * side, 256), activation_layer("relu")]
    return Network([*layers, Dropout(0.5, draw.random), affine_layer(draw, 256, classes)])
