"""YOLO v2, and Darknet-19, the classifier that it is made of.

Redmon, Farhadi 2016, "YOLO9000: better, faster, stronger", section 2 and Table 6; the authors' definitions
`yolov2-voc.cfg`, `yolov2-tiny-voc.cfg` and `darknet19.cfg`.

darknet19 at 3x224x224: stage1 64x112x112, stage2 128x56x56, stage3 256x28x28, stage4 512x14x14, stage5 1024x7x7
yolo_v2 at 3x416x416: stage1 64x208x208, stage2 128x104x104, stage3 256x52x52, stage4 512x26x26, stage5 1024x13x13
yolo_v2_tiny at 3x416x320: stage1 32x208x160, stage2 64x104x80, stage3 128x52x40, stage4 256x26x20, stage5 512x13x10

Stages begin with a max pooling, the first one with a convolution before it. The head (section 2, "Convolutional With
Anchor Boxes" and "Fine-Grained Features") has two convolutions of 1024, next to whose map the fine map of stage 4 is
put, and one more of 1024 before the linear 1x1 convolution. For each of 5 anchors it gives 5 + classes numbers; what
they mean is in `layers.yolo_v2`. Sides may be any multiples of 32. Anchors are those of VOC, classes 20.

Deviations: in the paper the fine map is folded into 2048 channels; in the published files it is first reduced to 64.
Normalization adds 1e-5 to the variance, as Darknet does on GPUs. The paper and its tables count operations, which are
two for every multiply-add.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.layers.darknet import Reorg, darknet_pool
from convolve.layers.initializers import he_normal
from convolve.layers.leaky import leaky_convolution
from convolve.layers.scales import Passthrough
from convolve.layers.yolo_v2 import RegionOutput
from convolve.models.network import Card, Network, Stage, Variant

Row = tuple[tuple[int, int], ...]  # width and kernel of each convolution after a pooling
Anchors = tuple[tuple[float, float], ...]

CELL = 32
TABLE_6: tuple[Row, ...] = (
    ((64, 3),),
    ((128, 3), (64, 1), (128, 3)),
    ((256, 3), (128, 1), (256, 3)),
    ((512, 3), (256, 1), (512, 3), (256, 1), (512, 3)),
    ((1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)),
)
TINY: tuple[Row, ...] = (((32, 3),), ((64, 3),), ((128, 3),), ((256, 3),), ((512, 3),))
VOC: Anchors = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))
VOC_TINY: Anchors = ((1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52))


def plain_stages(first: int, table: Sequence[Row], channels: int) -> dict[str, Stage]:
    """A convolution of ``first`` maps, then for each row of the table a max pooling and its convolutions."""
    layers, stages = OrderedDict[str, nn.Module](conv1=leaky_convolution(channels, first)), {}
    channels, index = first, 1
    for number, row in enumerate(table, 1):
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        for width, kernel in row:
            index += 1
            layers[f"conv{index}"] = leaky_convolution(channels, width, kernel)
            channels = width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
        layers = OrderedDict()
    return stages


def region_head(layers: Passthrough, anchors: Anchors) -> ConvolutionalBoxHead:
    """The layers, and what they give out for these anchors, in cells."""
    return ConvolutionalBoxHead(
        layers, RegionOutput([(CELL * width, CELL * height) for width, height in anchors]), CELL
    )


def _darknet19(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    head = OrderedDict(conv19=nn.Conv2d(1024, classes, 1), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return Network(card, plain_stages(32, TABLE_6, channels), nn.Sequential(head)).apply(he_normal)


def _yolo_v2(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    deep = OrderedDict[str, nn.Module](conv19=leaky_convolution(1024, 1024), conv20=leaky_convolution(1024, 1024))
    fine = OrderedDict(conv21=leaky_convolution(512, 64, 1), reorg=Reorg(2))
    last = OrderedDict(
        conv22=leaky_convolution(1024 + 4 * 64, 1024), conv23=nn.Conv2d(1024, len(VOC) * (5 + classes), 1)
    )
    head = region_head(Passthrough(nn.Sequential(deep), nn.Sequential(fine), nn.Sequential(last)), VOC)
    stages = plain_stages(32, TABLE_6, channels)
    return Network(card, stages, head, head_inputs=("stage4", "stage5")).apply(he_normal)


def _yolo_v2_tiny(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    deep = OrderedDict(
        pool6=darknet_pool(2, 1), conv7=leaky_convolution(512, 1024), conv8=leaky_convolution(1024, 1024)
    )
    last = nn.Sequential(OrderedDict(conv9=nn.Conv2d(1024, len(VOC_TINY) * (5 + classes), 1)))
    head = region_head(Passthrough(nn.Sequential(deep), None, last), VOC_TINY)
    return Network(card, plain_stages(16, TINY, channels), head, head_inputs=("stage5",)).apply(he_normal)


def detector_card(
    name: str, channels: int, classifier: str, counts: tuple[int, int] | tuple[None, None] = (None, None)
) -> Card:
    """The card of a detection network made of a classifier, with its counts of parameters and multiply-adds."""
    return Card(
        name=name,
        title="YOLO9000: better, faster, stronger",
        authors="Redmon, Farhadi",
        year=2016,
        venue="CVPR 2017",
        address="https://arxiv.org/abs/1612.08242",
        input=(channels, 416, 416),
        classes=20,
        minimum=CELL,
        parameters=counts[0],
        macs=counts[1],
        output="boxes",
        classifier=classifier,
        multiple=CELL,
    )


_DARKNET19 = Card(
    name="darknet19",
    title="YOLO9000: better, faster, stronger",
    authors="Redmon, Farhadi",
    year=2016,
    venue="CVPR 2017",
    address="https://arxiv.org/abs/1612.08242",
    input=(3, 224, 224),
    classes=1000,
    minimum=32,
    parameters=20_842_376,
    macs=2_790_989_824,
    top1_error=27.1,
    top5_error=8.8,
    evaluation="trained and measured at 224 (section 3)",
)
VARIANTS = (
    Variant(_DARKNET19, _darknet19),
    Variant(detector_card("yolo_v2", 3, "darknet19", (50_655_389, 14_680_167_424)), _yolo_v2),
    Variant(detector_card("yolo_v2_tiny", 3, "", (15_861_773, 3_485_520_896)), _yolo_v2_tiny),
)
