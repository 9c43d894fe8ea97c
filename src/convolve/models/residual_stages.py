"""What residual networks for ImageNet share: behind a stem and a pooling, four stages of blocks.

He, Zhang, Ren, Sun 2015, "Deep residual learning for image recognition", Table 1; ResNeXt and SENet keep its frame.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import nn

from convolve.models.network import Stage

WIDTHS = (64, 128, 256, 512)
Block = Callable[[int, int, int], nn.Module]
"""Makes a block for the channels that enter it, the width of its stage, and its stride."""


def stem(channels: int) -> Stage:
    """conv1: 7x7, 64, stride 2, with normalization and ReLU."""
    layers = OrderedDict(
        conv1=nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False),
        norm1=nn.BatchNorm2d(64),
        relu1=nn.ReLU(inplace=True),
    )
    return Stage(nn.Sequential(layers), 64, 2)


def residual_stages(
    first: Stage, pool: nn.Module, block: Block, repeats: Sequence[int], expansion: int
) -> dict[str, Stage]:
    """Stage 1 as given, then conv2_x to conv5_x, whose blocks give ``expansion`` times their width.

    The pooling stands before conv2_x; the first block of each later stage halves the map.
    """
    stages = {"stage1": first}
    layers = OrderedDict[str, nn.Module](pool1=pool)
    channels = first.channels
    for number, (width, count) in enumerate(zip(WIDTHS, repeats, strict=True), 2):
        for place in range(1, count + 1):
            layers[f"conv{number}_{place}"] = block(channels, width, 2 if place == 1 and number > 2 else 1)
            channels = expansion * width
        stages[f"stage{number}"] = Stage(nn.Sequential(layers), channels, 2**number)
        layers = OrderedDict()
    return stages


def pooled_head(channels: int, classes: int, dropout: float = 0.0) -> nn.Module:
    """Global average pooling and the scores, with dropout between them where there is some."""
    layers = OrderedDict[str, nn.Module](pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    if dropout:
        layers["dropout"] = nn.Dropout(dropout)
    layers["fc"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)
