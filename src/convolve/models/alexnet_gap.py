"""AlexNet with global average pooling, for class activation maps.

Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization", section 3.1,
where it is AlexNet*-GAP; the authors' definition `deploy_alexnetplusCAM_imagenet.prototxt`.

alexnet_gap at 3x227x227: stage1 96x27x27, stage2 256x13x13, stage3 384x13x13, stage4 384x13x13, stage5 384x11x11, stage6 512x11x11, stage7 512x11x11

AlexNet loses most of all networks when its dense layers are replaced by one average, so two convolutions are added
before it. The first five are CaffeNet's, the fifth with 384 maps; its pooling has a stride of 1, so that the maps stay
11x11. The averages of the last maps are scored by one dense layer: its weights make the class activation maps.
`convolve train --network alexnet --gap` puts the paper's general head on AlexNet instead: one convolution of 1,024 maps.

Deviations: none known; the paper's text gives the two convolutions no groups, the definition gives them two.
"""  # noqa: E501

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from torch import nn

from convolve.layers.initializers import gaussian
from convolve.models.alexnet import CAFFENET, Table, stages_of
from convolve.models.alexnet import VARIANTS as ALEXNETS
from convolve.models.network import Card, Network, Variant


def pool(width: int) -> nn.Module:
    """Overlapping pooling that keeps its map but for the border.

    Shape: (N, width, H, W) -> (N, width, H - 2, W - 2)
    """
    del width
    return nn.MaxPool2d(3, 1)


DEFINITION: Table = (
    *CAFFENET[:4],
    ((384, 3, 1, 1, 2, 1.0), (pool,)),
    ((512, 3, 1, 1, 2, 1.0), ()),
    ((512, 3, 1, 1, 2, 1.0), ()),
)


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    layers = OrderedDict[str, nn.Module](pool8=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), dropout8=nn.Dropout(0.5))
    layers["fc9"] = gaussian(nn.Linear(DEFINITION[-1][0][0], classes), 0.01)
    return Network(card, stages_of(DEFINITION, channels), nn.Sequential(layers))


_CARD = replace(
    ALEXNETS[0].card,
    name="alexnet_gap",
    title="Learning deep features for discriminative localization",
    authors="Zhou, Khosla, Lapedriza, Oliva, Torralba",
    year=2016,
    venue="CVPR 2016",
    address="https://arxiv.org/abs/1512.04150",
    minimum=55,
    parameters=5_133_800,
    macs=953_467_424,
    top1_error=44.9,
    top5_error=20.9,
    evaluation="Table 1, AlexNet*-GAP; the paper does not say of which crops",
)
VARIANTS = (Variant(_CARD, _build),)
