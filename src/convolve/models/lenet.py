"""LeNet-1, LeNet-5, and what Caffe calls LeNet.

LeCun, Boser, Denker, Henderson, Howard, Hubbard, Jackel 1990, "Handwritten digit recognition with a back-propagation
network", figure 2 and Table 1; LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
recognition", figure 2 and Table I; Jia et al. 2014, "Caffe", its example `lenet`.

lenet1 at 1x28x28: stage1 4x12x12, stage2 12x4x4
lenet5 at 1x32x32: stage1 6x14x14, stage2 16x5x5, stage3 120x1x1
lenet at 1x28x28: stage1 20x12x12, stage2 50x4x4

Digits of 28x28 are centered in LeNet-5's 32x32. Its loss is the cross-entropy over the negative distances, which is the
paper's equation 9; training pulls F6 toward an image of the digit, seven units wide and twelve high.

Deviations: the paper does not say how large the constant j of equation 9 is; here it is infinite, so that there is no
class of rubbish. The bitmaps are figure 3's as in one public transcription; against the figure itself they were checked
by eye only (0, 2, 4 and 5 with a bar above them, 4 open and with a descender). More classes than ten get random codes
of ±1, which the paper considers possible. LeNet-1 was trained by squared error on outputs of the squashing function;
here its scores are not squashed, for the cross-entropy. Its initial weights, of which its paper says nothing, are drawn
as LeNet-5's. Neither is trained by the second-order method of its paper.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convolve.layers.initializers import lecun_fan_in, lecun_uniform
from convolve.layers.lecun import RadialBasis, ScaledTanh, Subsampling, Table, TableConvolution
from convolve.models.network import Card, Network, Stage, Variant

TABLE_1: Table = (  # 1990: the maps of H2 that each map of H3 is connected to
    (0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1),
    (2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3),
)  # fmt: skip
TABLE_I: Table = (  # 1998: the maps of S2 that each map of C3 is connected to
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
FIGURE_3 = """
.#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
.##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def bitmaps(classes: int) -> Tensor:
    """(classes, 84) codes of +1 (black) and -1: the ten digits of figure 3, row by row, then random ones."""
    rows = [row.split() for row in FIGURE_3.split("\n") if row]
    digits = [[1.0 if dot == "#" else -1.0 for row in rows for dot in row[digit]] for digit in range(10)]
    return torch.cat([torch.tensor(digits), 2.0 * torch.randint(2, (max(classes - 10, 0), 84)) - 1])[:classes]


def _lenet1(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    rows, columns = (((side - 4) // 2 - 4) // 2 for side in size)
    h1, h3 = nn.Conv2d(channels, 4, 5), TableConvolution(4, TABLE_1, 5)
    stages = {
        "stage1": Stage(_name_layers(h1=h1, tanh1=ScaledTanh(), h2=Subsampling(4), tanh2=ScaledTanh()), 4, 2),
        "stage2": Stage(_name_layers(h3=h3, tanh3=ScaledTanh(), h4=Subsampling(12), tanh4=ScaledTanh()), 12, 4),
    }
    head = _name_layers(flatten=nn.Flatten(), output=nn.Linear(12 * rows * columns, classes))
    return Network(card, stages, head).apply(lecun_fan_in)


def _lenet5(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    rows, columns = (((side - 4) // 2 - 4) // 2 - 4 for side in size)
    c1, c3, c5 = nn.Conv2d(channels, 6, 5), TableConvolution(6, TABLE_I, 5), nn.Conv2d(16, 120, 5)
    stages = {
        "stage1": Stage(_name_layers(c1=c1, tanh1=ScaledTanh(), s2=Subsampling(6), tanh2=ScaledTanh()), 6, 2),
        "stage2": Stage(_name_layers(c3=c3, tanh3=ScaledTanh(), s4=Subsampling(16), tanh4=ScaledTanh()), 16, 4),
        "stage3": Stage(_name_layers(c5=c5, tanh5=ScaledTanh()), 120, 4),
    }
    f6, output = nn.Linear(120 * rows * columns, 84), RadialBasis(bitmaps(classes))
    head = _name_layers(flatten=nn.Flatten(), f6=f6, tanh6=ScaledTanh(), output=output)
    return Network(card, stages, head).apply(lecun_fan_in)


def _lenet(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    rows, columns = (((side - 3) // 2 - 3) // 2 for side in size)
    conv1, conv2 = nn.Conv2d(channels, 20, 5), nn.Conv2d(20, 50, 5)
    stages = {
        "stage1": Stage(_name_layers(conv1=conv1, pool1=nn.MaxPool2d(2, ceil_mode=True)), 20, 2),
        "stage2": Stage(_name_layers(conv2=conv2, pool2=nn.MaxPool2d(2, ceil_mode=True)), 50, 4),
    }
    ip1, ip2 = nn.Linear(50 * rows * columns, 500), nn.Linear(500, classes)
    head = _name_layers(flatten=nn.Flatten(), ip1=ip1, relu1=nn.ReLU(inplace=True), ip2=ip2)
    return Network(card, stages, head).apply(lecun_uniform)


def _name_layers(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


_LENET1 = Card(
    name="lenet1",
    title="Handwritten digit recognition with a back-propagation network",
    authors="LeCun, Boser, Denker, Henderson, Howard, Hubbard, Jackel",
    year=1990,
    venue="NIPS 1989",
    address="https://proceedings.neurips.cc/paper/1989/hash/53c3bce66e43be4f209556518c2fcb54-Abstract.html",
    input=(1, 28, 28),
    classes=10,
    minimum=16,
    parameters=2_578,
    macs=91_520,
)
_LENET5 = Card(
    name="lenet5",
    title="Gradient-based learning applied to document recognition",
    authors="LeCun, Bottou, Bengio, Haffner",
    year=1998,
    venue="Proceedings of the IEEE 86 (11)",
    address="https://doi.org/10.1109/5.726791",
    input=(1, 32, 32),
    classes=10,
    minimum=32,
    parameters=60_000,
    macs=326_520,
)
_LENET = Card(
    name="lenet",
    title="Caffe: Convolutional architecture for fast feature embedding",
    authors="Jia, Shelhamer, Donahue, Karayev, Long, Girshick, Guadarrama, Darrell",
    year=2014,
    venue="ACM Multimedia 2014",
    address="https://arxiv.org/abs/1408.5093",
    input=(1, 28, 28),
    classes=10,
    minimum=13,
    parameters=431_080,
    macs=2_293_000,
)
VARIANTS = (Variant(_LENET1, _lenet1), Variant(_LENET5, _lenet5), Variant(_LENET, _lenet))
