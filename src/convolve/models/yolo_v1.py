"""YOLO, the first version.

Redmon, Divvala, Girshick, Farhadi 2015, "You only look once: unified, real-time object detection", section 2 and figure
3; the authors' definitions, of 2015 and of today (`yolov1.cfg`, `yolov1-tiny.cfg`).

yolo_v1 at 3x448x448: stage1 64x224x224, stage2 192x112x112, stage3 512x56x56, stage4 1024x28x28, stage5 1024x14x14, stage6 1024x7x7
yolo_v1_local at 3x448x448: stage1 64x224x224, stage2 192x112x112, stage3 512x56x56, stage4 1024x28x28, stage5 1024x14x14, stage6 1024x7x7
yolo_v1_tiny at 3x448x448: stage1 32x224x224, stage2 64x112x112, stage3 128x56x56, stage4 256x28x28, stage5 512x14x14, stage6 256x7x7

Stages begin with a max pooling but for the first and last; the last one begins with the convolution that halves the
map, in the tiny network with a pooling, too. Dense layers give for every cell of 64 pixels the classes' scores and the
boxes, two in the paper; their order and meaning is in `layers.yolo_v1`. They need images of the size that the network
was built for, whose sides are multiples of 64.

`yolo_v1_local` is today's file: batch normalization, a locally connected layer of 256 in place of the dense layer of
4096, and three boxes. The paper pretrains the first 20 convolutions on ImageNet; its Fast YOLO has 9 convolutions, and
`yolo_v1_tiny` is what the authors made of it, with 8 convolutions, batch normalization and one dense layer.

Deviations: the paper does not give the initial weights; they are those of its program.
"""  # noqa: E501

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import final

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet import LocallyConnected2d
from convolve.layers.description import Series
from convolve.layers.initializers import he_normal, uniform
from convolve.layers.leaky import NEGATIVE_SLOPE, leaky_convolution
from convolve.layers.yolo_v1 import DetectionOutput
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.yolo_v2 import TINY, plain_stages

Row = tuple[tuple[int, int, int], ...]  # width, kernel and stride of each convolution

CELL = 64
FIGURE_3: tuple[Row, ...] = (  # a max pooling comes before stages 2 to 5
    ((64, 7, 2),),
    ((192, 3, 1),),
    ((128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1)),
    (*((256, 1, 1), (512, 3, 1)) * 4, (512, 1, 1), (1024, 3, 1)),
    (*((512, 1, 1), (1024, 3, 1)) * 2, (1024, 3, 1)),
    ((1024, 3, 2), (1024, 3, 1), (1024, 3, 1)),
)
_TINY_DEEPEST = ((1024, 3), (256, 3))


@final
class DenseOutputs(nn.Module):
    """A map of one ``grid`` (height, width) to a tuple of one row of numbers: ``layers`` that are not convolutional."""

    def __init__(self, grid: tuple[int, int], layers: nn.Module) -> None:
        super().__init__()
        self.grid, self.layers = grid, layers

    def forward(self, maps: list[Tensor]) -> tuple[Tensor]:
        """[(N, C, H, W)] to ((N, outputs),). Raises `NetworkError` for a map of another size."""
        if tuple(maps[0].shape[2:]) != self.grid:
            height, width = (CELL * side for side in self.grid)
            raise NetworkError(
                f"The dense layers were built for images of {width}x{height} pixels; give such images, or build the "
                "network for the size of these."
            )
        return (self.layers(maps[0]),)

    def describe(self) -> Series:
        """Its layers."""
        return Series(("layers",))


def _stages(channels: int, *, normalized: bool) -> dict[str, Stage]:
    stages, index, stride = dict[str, Stage](), 0, 1
    for number, row in enumerate(FIGURE_3, 1):
        layers = OrderedDict[str, nn.Module]()
        if 1 < number < len(FIGURE_3):
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        for width, kernel, step in row:
            index += 1
            layers[f"conv{index}"] = leaky_convolution(channels, width, kernel, step, normalized=normalized)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, stride := 2 * stride)
    return stages


def _head(grid: tuple[int, int], boxes: int, layers: OrderedDict[str, nn.Module]) -> ConvolutionalBoxHead:
    return ConvolutionalBoxHead(DenseOutputs(grid, nn.Sequential(layers)), DetectionOutput(grid, boxes), CELL)


def _yolo_v1(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    grid, cells = _grid(size)
    layers = OrderedDict[str, nn.Module](
        flatten=nn.Flatten(),
        fc25=nn.Linear(1024 * cells, 4096),
        leaky25=nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
        dropout=nn.Dropout(0.5),
        fc26=nn.Linear(4096, cells * (classes + 5 * 2)),
    )
    stages = _stages(channels, normalized=False)
    return Network(card, stages, _head(grid, 2, layers), head_inputs=("stage6",)).apply(_initialize)


def _yolo_v1_local(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    grid, cells = _grid(size)
    layers = OrderedDict[str, nn.Module](
        local25=LocallyConnected2d(1024, 256, grid, 3, 1, 1),
        leaky25=nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
        dropout=nn.Dropout(0.5),
        flatten=nn.Flatten(),
        fc26=nn.Linear(256 * cells, cells * (classes + 5 * 3)),
    )
    stages = _stages(channels, normalized=True)
    return Network(card, stages, _head(grid, 3, layers), head_inputs=("stage6",)).apply(_initialize)


def _yolo_v1_tiny(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    grid, cells = _grid(size)
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten(), fc9=nn.Linear(256 * cells, cells * (classes + 5 * 2)))
    stages = plain_stages(16, (*TINY, _TINY_DEEPEST), channels)
    return Network(card, stages, _head(grid, 2, layers), head_inputs=("stage6",)).apply(_initialize)


def _initialize(layer: nn.Module) -> None:
    """As Darknet: convolutions normal and all others uniform, whose bound is the former's deviation; biases zero."""
    he_normal(layer)
    if isinstance(layer, nn.Linear):
        uniform(layer, math.sqrt(2 / layer.in_features))
    elif isinstance(layer, LocallyConnected2d):
        bound = math.sqrt(2 / layer.weight.shape[2])
        nn.init.uniform_(layer.weight, -bound, bound)


def _grid(size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """The rows and columns of cells of an image of ``size`` (height, width), and their number."""
    rows, columns = size[0] // CELL, size[1] // CELL
    return (rows, columns), rows * columns


def _variant(
    name: str, build: Callable[[Card, int, int, tuple[int, int]], Network], counts: tuple[int, int]
) -> Variant:
    card = Card(
        name=name,
        title="You only look once: unified, real-time object detection",
        authors="Redmon, Divvala, Girshick, Farhadi",
        year=2015,
        venue="CVPR 2016",
        address="https://arxiv.org/abs/1506.02640",
        input=(3, 448, 448),
        classes=20,
        minimum=CELL,
        parameters=counts[0],
        macs=counts[1],
        output="boxes",
        multiple=CELL,
    )
    return Variant(card, build)


VARIANTS = (
    _variant("yolo_v1", _yolo_v1, (271_703_550, 20_285_153_280)),
    _variant("yolo_v1_local", _yolo_v1_local, (197_301_875, 20_210_729_728)),
    _variant("yolo_v1_tiny", _yolo_v1_tiny, (27_095_374, 1_608_015_360)),
)
