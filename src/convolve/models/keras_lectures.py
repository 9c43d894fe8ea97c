"""The networks that the lectures list in Keras, as Keras builds them: weights Glorot uniform, biases zero, pooling
rounds down, batch normalization with Keras' constants, and the first dense layer is as wide as the image makes it.

lenet5_keras at 1x28x28: stage1 6x14x14, stage2 16x5x5
lenet5_keras at 1x32x32: stage1 6x16x16, stage2 16x6x6
simple_cnn at 1x28x28: stage1 8x14x14, stage2 16x6x6, stage3 16x4x4
flowers_cnn at 3x180x180: stage1 16x90x90, stage2 32x45x45, stage3 64x22x22
batchnorm_cnn at 1x28x28: stage1 128x13x13, stage2 128x5x5
batchnorm_cnn_plain at 1x28x28: stage1 128x13x13, stage2 128x5x5
typical_cnn at 1x28x28: stage1 64x14x14, stage2 128x7x7, stage3 256x3x3

The table of the flowers network is printed without the dropout of its listing; `flowers_cnn` is the table,
`flowers_cnn_dropout` the listing. Keras counts the running means and variances of batch normalization as parameters
that are not trained: 510,794 and 896 of them make its 511,690.

Deviations: scores have no softmax, which is part of the loss; pixels arrive rescaled. Weights before a sigmoid start
four times as large in `batchnorm_cnn_plain` as in Keras: with Keras' weights seven sigmoids in a row leave so little of
the gradient that after a thousand steps it is still at chance, from which `batchnorm_cnn` departs in ten.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from convolve.layers.initializers import glorot_uniform
from convolve.models.network import Card, Network, Stage, Variant


def conv(name: str, channels: int, width: int, kernel: int) -> dict[str, nn.Module]:
    """`Conv2D(width, kernel, padding="same", activation="relu")` with an odd kernel.

    (N, channels, H, W) to (N, width, H, W)
    """
    layer = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
    return {f"conv{name}": layer, f"relu{name}": nn.ReLU(inplace=True)}


def squeeze(name: str, channels: int, width: int, stride: int, *, normalized: bool) -> dict[str, nn.Module]:
    """`Conv2D(width, (2, 2), stride, activation="sigmoid")`, then `BatchNormalization()` if ``normalized``.

    (N, channels, H, W) to (N, width, (H - 2) / stride + 1, (W - 2) / stride + 1)
    """
    layers = {f"conv{name}": nn.Conv2d(channels, width, 2, stride), f"sigmoid{name}": nn.Sigmoid()}
    return layers | ({f"norm{name}": nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)} if normalized else {})


FLOWERS = ((3, (16,)), (3, (32,)), (3, (64,)))  # kernel and widths before each pooling
TYPICAL = ((7, (64,)), (3, (128, 128)), (3, (256, 256)))  # lecture 004, "typical structure of a CNN"
NEGATIVE_SLOPE = 1 / 4  # of the sigmoid at 0, where Glorot's rule assumes 1
BATCHNORM = ((32, 1), (64, 1), (128, 2)), ((32, 1), (64, 1), (128, 2))  # widths and strides


def _lenet5(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """LeNet-5 with dense maps, tanh and plain average pooling (lecture 004, the listing under LeNet-5)."""
    rows, columns = ((side // 2 - 4) // 2 for side in size)
    stage1 = OrderedDict(conv1=nn.Conv2d(channels, 6, 5, padding=2), tanh1=nn.Tanh(), pool1=nn.AvgPool2d(2))
    stage2 = OrderedDict(conv2=nn.Conv2d(6, 16, 5), tanh2=nn.Tanh(), pool2=nn.AvgPool2d(2))
    head = OrderedDict(
        flatten=nn.Flatten(),
        dense3=nn.Linear(16 * rows * columns, 120),
        tanh3=nn.Tanh(),
        dense4=nn.Linear(120, 84),
        tanh4=nn.Tanh(),
        dense5=nn.Linear(84, classes),
    )
    stages = {"stage1": Stage(nn.Sequential(stage1), 6, 2), "stage2": Stage(nn.Sequential(stage2), 16, 4)}
    return Network(card, stages, nn.Sequential(head)).apply(glorot_uniform)


def _simple_cnn(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    """Three 3x3 convolutions, a sigmoid layer and the scores (lecture 002, "Simple CNN example with Keras")."""
    rows, columns = ((side // 2 - 2) // 2 - 2 for side in size)
    conv1, conv2, conv3 = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 3)
    stage1 = OrderedDict(conv1=conv1, relu1=nn.ReLU(inplace=True), pool1=nn.MaxPool2d(2))
    stage2 = OrderedDict(conv2=conv2, relu2=nn.ReLU(inplace=True), pool2=nn.MaxPool2d(2))
    stage3 = OrderedDict(conv3=conv3, relu3=nn.ReLU(inplace=True))
    head = OrderedDict(
        flatten=nn.Flatten(),
        dense4=nn.Linear(16 * rows * columns, 64),
        sigmoid4=nn.Sigmoid(),
        dense5=nn.Linear(64, classes),
    )
    stages = {
        "stage1": Stage(nn.Sequential(stage1), 8, 2),
        "stage2": Stage(nn.Sequential(stage2), 16, 4),
        "stage3": Stage(nn.Sequential(stage3), 16, 4),
    }
    return Network(card, stages, nn.Sequential(head)).apply(glorot_uniform)


def _pooling_stages(table: tuple[tuple[int, tuple[int, ...]], ...], channels: int) -> dict[str, Stage]:
    stages: dict[str, Stage] = {}
    for number, (kernel, widths) in enumerate(table, 1):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, width in enumerate(widths, 1):
            layers |= conv(f"{number}_{index}", channels, width, kernel)
            channels = width
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
    return stages


def _flowers(card: Card, classes: int, channels: int, size: tuple[int, int], *, dropout: bool) -> Network:
    inputs = 64 * (size[0] // 8) * (size[1] // 8)
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    layers |= {"dropout": nn.Dropout(0.2)} if dropout else {}
    layers |= {"dense4": nn.Linear(inputs, 128), "relu4": nn.ReLU(inplace=True), "dense5": nn.Linear(128, classes)}
    return Network(card, _pooling_stages(FLOWERS, channels), nn.Sequential(layers)).apply(glorot_uniform)


def _typical(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    head = OrderedDict(
        flatten=nn.Flatten(),
        dense4=nn.Linear(256 * (size[0] // 8) * (size[1] // 8), 128),
        relu4=nn.ReLU(inplace=True),
        dropout4=nn.Dropout(0.5),
        dense5=nn.Linear(128, 64),
        relu5=nn.ReLU(inplace=True),
        dropout5=nn.Dropout(0.5),
        dense6=nn.Linear(64, classes),
    )
    return Network(card, _pooling_stages(TYPICAL, channels), nn.Sequential(head)).apply(glorot_uniform)


def _batchnorm(card: Card, classes: int, channels: int, size: tuple[int, int], *, normalized: bool) -> Network:
    stages: dict[str, Stage] = {}
    for number, row in enumerate(BATCHNORM, 1):
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, (width, stride) in enumerate(row, 1):
            layers |= squeeze(f"{number}_{index}", channels, width, stride, normalized=normalized)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
    rows, columns = (((side - 2) // 2 - 2) // 2 for side in size)
    dense3, dense4 = nn.Linear(channels * rows * columns, 128), nn.Linear(128, classes)
    head = OrderedDict[str, nn.Module](flatten=nn.Flatten(), dense3=dense3, sigmoid3=nn.Sigmoid(), dense4=dense4)
    network = Network(card, stages, nn.Sequential(head)).apply(glorot_uniform)
    if not normalized:
        with torch.no_grad():
            for value in (*network.stages.parameters(), dense3.weight):
                value.mul_(1 / NEGATIVE_SLOPE)
    return network


def _card(name: str, title: str, input: tuple[int, int, int], least: int, counts: tuple[int, int, int]) -> Card:  # noqa: A002
    return Card(
        name=name,
        title=title,
        authors="the lectures",
        year=2015,  # the lectures carry no date; Keras appeared in 2015
        venue="lectures",
        address="https://keras.io",
        input=input,
        classes=counts[0],
        minimum=least,
        parameters=counts[1],
        macs=counts[2],
    )


GRAY, PHOTO = (1, 28, 28), (3, 180, 180)
_SIMPLE = _card("simple_cnn", "Simple-CNN", GRAY, 16, (10, 20_666, 276_224))
_LENET5 = replace(
    _card("lenet5_keras", "LeNet-5 as the lectures list it in Keras", GRAY, 12, (10, 61_706, 416_520)),
    authors="after LeCun, Bottou, Bengio, Haffner",
    year=1998,
    address="https://doi.org/10.1109/5.726791",
)
_FLOWERS = _card("flowers_cnn", "Flowers network", PHOTO, 8, (5, 3_989_285, 92_611_968))
_DROPOUT = replace(_FLOWERS, name="flowers_cnn_dropout", title="Flowers network with dropout")
_BATCHNORM = _card("batchnorm_cnn", "Network with batch normalization", GRAY, 10, (10, 510_794, 15_749_504))
_PLAIN = replace(
    _BATCHNORM, name="batchnorm_cnn_plain", title="Network without batch normalization", parameters=509_898
)
_TYPICAL = _card("typical_cnn", "Typical structure of a CNN", GRAY, 8, (10, 1_413_834, 89_466_496))
VARIANTS = (
    Variant(_LENET5, _lenet5),
    Variant(_SIMPLE, _simple_cnn),
    Variant(_FLOWERS, partial(_flowers, dropout=False)),
    Variant(_DROPOUT, partial(_flowers, dropout=True)),
    Variant(_BATCHNORM, partial(_batchnorm, normalized=True)),
    Variant(_PLAIN, partial(_batchnorm, normalized=False)),
    Variant(_TYPICAL, _typical),
)
