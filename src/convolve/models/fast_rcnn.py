"""Fast R-CNN: the image goes through the convolutions once, and every proposed region through the layers after them.

Girshick 2015, "Fast R-CNN", sections 2 and 3; the authors' definitions `VGG16/train.prototxt` and
`CaffeNet/train.prototxt`.

fast_rcnn_vgg16 at 3x64x96: stage1 64x32x48, stage2 128x16x24, stage3 256x8x12, stage4 512x4x6, stage5 512x4x6
fast_rcnn_caffenet at 3x600x608: stage1 96x75x76, stage2 256x38x38, stage3 384x38x38, stage4 384x38x38, stage5 256x38x38

Stages are those of the classifier without its last pooling, evenly padded. Regions, which are proposed outside of the
network, take their place on the last map as 7x7 bins (6x6 of CaffeNet); fc6 and fc7 read them, and two layers give the
scores of the classes and of background, and a box for each of them. See `layers.region_head` for the loss.

`fast_rcnn_NAME` is made of any other classifier: of one without dense layers before its last one, as `resnet18`, the
last stage reads 14x14 bins of the map before it, and the means of its maps are the features (He et al. 2015, "Deep
residual learning for image recognition", appendix A). If the stride of the last map is 16 or less, as in SqueezeNet,
two dense layers of 1024 read 7x7 bins of it.

Deviations: Caffe's poolings round up, and so do all paddings here; the definitions pad each layer by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import RegionPooling
from convolve.layers.region_sampling import SamplingRule
from convolve.models import alexnet, vgg
from convolve.models.network import Card, Network, Variant
from convolve.models.region_networks import split_classifier, variant_on

EXAMPLE = "fast_rcnn_resnet18"
_NAME = re.compile(r"fast_rcnn_(.+)")
_PAPER = Card(
    name="fast_rcnn",
    title="Fast R-CNN",
    authors="Girshick",
    year=2015,
    venue="ICCV 2015",
    address="https://arxiv.org/abs/1504.08083",
    input=(3, 600, 600),
    classes=20,
    minimum=1,
    output="boxes",
    proposals=True,
    nms_iou=(0.3, "as in the papers"),
)


def _on_classifier(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages, layers, bins, width = split_classifier(base, channels, EXAMPLE)
    name, last = list(stages.items())[-1]
    head = RegionHead(RegionPooling(bins, last.stride), layers, width, classes, SamplingRule(), svms=False)
    return Network(card, stages, head, head_inputs=(name,))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`fast_rcnn_resnet18` and the like: any classifier, built for its published input size; None for other names."""
    match = _NAME.fullmatch(name)
    return variant_on(_PAPER, name, find(match[1]), _on_classifier) if match else None


_BASES = {variant.card.name: variant for variant in (*vgg.VARIANTS, *alexnet.VARIANTS)}
VARIANTS = (
    variant_on(_PAPER, "fast_rcnn_vgg16", _BASES["vgg16"], _on_classifier, 134_690_729),
    variant_on(_PAPER, "fast_rcnn_caffenet", _BASES["caffenet"], _on_classifier, 57_298_409),
)
