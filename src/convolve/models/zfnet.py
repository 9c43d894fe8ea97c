"""ZFNet.

Zeiler, Fergus 2013, "Visualizing and understanding convolutional networks", figure 3.

zfnet at 3x224x224: stage1 96x55x55, stage2 256x13x13, stage3 384x13x13, stage4 384x13x13, stage5 256x6x6

AlexNet with a smaller kernel and stride in the first layer and without towers. A stage is a layer of the figure; the
first two pool before they normalize.

Deviations: the figure does not say what is padded nor how poolings round; its maps of 110, 55, 26, 13 and 6 come from a
padding of 1 in the first layer, none in the second, and rounding up. The constants of the normalization across maps are
Krizhevsky's. Weights "initialized to 10^-2" are taken as normal with that deviation. Renormalizing filters whose root
mean square exceeds 0.1 is part of training, and left out.
"""

from __future__ import annotations

from functools import partial

from convolve.models.alexnet import Table, build, norm, pool
from convolve.models.network import Card, Variant

FIGURE_3: Table = (  # width, kernel, stride, padding, groups, bias; then what follows the rectifier
    ((96, 7, 2, 1, 1, 0.0), (pool, norm)),
    ((256, 5, 2, 0, 1, 0.0), (pool, norm)),
    ((384, 3, 1, 1, 1, 0.0), ()),
    ((384, 3, 1, 1, 1, 0.0), ()),
    ((256, 3, 1, 1, 1, 0.0), (pool,)),
)

_ZFNET = Card(
    name="zfnet",
    title="Visualizing and understanding convolutional networks",
    authors="Zeiler, Fergus",
    year=2013,
    venue="ECCV 2014",
    address="https://arxiv.org/abs/1311.2901",
    input=(3, 224, 224),
    classes=1000,
    minimum=47,
    parameters=62_357_608,
    macs=1_168_032_896,
    top1_error=38.4,
    top5_error=16.5,
    evaluation="not stated; listed next to AlexNet's mean of ten crops (Table 2, 1 convnet as per figure 3)",
)
VARIANTS = (Variant(_ZFNET, partial(build, FIGURE_3, (0.01, 0.0))),)
