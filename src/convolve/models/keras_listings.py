"""The networks that the lectures list in Keras, as Keras builds them: weights Glorot uniform, biases zero, pooling
rounds down, and the first dense layer is as wide as the image makes it.

lenet5_keras at 1x28x28: stage1 6x14x14, stage2 16x5x5
lenet5_keras at 1x32x32: stage1 6x16x16, stage2 16x6x6
simple_cnn at 1x28x28: stage1 8x14x14, stage2 16x6x6, stage3 16x4x4

Deviations: scores leave without the softmax, which the loss takes care of.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from convolve.layers.initializers import glorot_uniform
from convolve.models.network import Card, Network, Stage, Variant


def _lenet5(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """LeNet-5 with dense maps, tanh and plain average pooling (lecture 004, the listing under LeNet-5)."""
    rows, columns = ((side // 2 - 4) // 2 for side in size)
    conv1, conv2 = nn.Conv2d(channels, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
    stages = {
        "stage1": Stage(_named(conv1=conv1, tanh1=nn.Tanh(), pool1=nn.AvgPool2d(2)), 6, 2),
        "stage2": Stage(_named(conv2=conv2, tanh2=nn.Tanh(), pool2=nn.AvgPool2d(2)), 16, 4),
    }
    head = _named(
        flatten=nn.Flatten(),
        dense3=nn.Linear(16 * rows * columns, 120),
        tanh3=nn.Tanh(),
        dense4=nn.Linear(120, 84),
        tanh4=nn.Tanh(),
        dense5=nn.Linear(84, classes),
    )
    return Network(card, stages, head).apply(glorot_uniform)


def _simple_cnn(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """Three 3x3 convolutions, a sigmoid layer and the scores (lecture 002, "Simple CNN example with Keras")."""
    rows, columns = ((side // 2 - 2) // 2 - 2 for side in size)
    conv1, conv2, conv3 = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 3)
    stages = {
        "stage1": Stage(_named(conv1=conv1, relu1=nn.ReLU(inplace=True), pool1=nn.MaxPool2d(2)), 8, 2),
        "stage2": Stage(_named(conv2=conv2, relu2=nn.ReLU(inplace=True), pool2=nn.MaxPool2d(2)), 16, 4),
        "stage3": Stage(_named(conv3=conv3, relu3=nn.ReLU(inplace=True)), 16, 4),
    }
    head = _named(
        flatten=nn.Flatten(),
        dense4=nn.Linear(16 * rows * columns, 64),
        sigmoid4=nn.Sigmoid(),
        dense5=nn.Linear(64, classes),
    )
    return Network(card, stages, head).apply(glorot_uniform)


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


_LENET5 = Card(
    name="lenet5_keras",
    title="LeNet-5 as the lectures list it in Keras",
    authors="after LeCun, Bottou, Bengio, Haffner",
    year=1998,
    venue="lectures",
    address="https://doi.org/10.1109/5.726791",
    input=(1, 28, 28),
    classes=10,
    minimum=12,
    parameters=61_706,
    macs=416_520,
)
_SIMPLE_CNN = Card(
    name="simple_cnn",
    title="Simple-CNN",
    authors="the lectures",
    year=2015,  # the lectures carry no date; Keras appeared in 2015
    venue="lectures",
    address="https://keras.io",
    input=(1, 28, 28),
    classes=10,
    minimum=16,
    parameters=20_666,
    macs=276_224,
)
VARIANTS = (Variant(_LENET5, _lenet5), Variant(_SIMPLE_CNN, _simple_cnn))
