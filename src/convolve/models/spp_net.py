"""SPP-net as a detector: the image goes through the convolutions once, and a spatial pyramid of each proposed region
through the dense layers.

He, Zhang, Ren, Sun 2014, "Spatial pyramid pooling in deep convolutional networks for visual recognition", section 4 and
the appendix on the mapping of windows; its `ZF-5` network.

spp_net_zfnet at 3x688x688: stage1 96x172x172, stage2 256x43x43, stage3 384x43x43, stage4 384x43x43, stage5 256x43x43

Stages are those of the classifier without its last pooling, evenly padded. Of each region, which are proposed outside
of the network, the maxima in 6x6, 3x3, 2x2 and 1x1 parts of the last map are read: 50 for each channel. Two dense
layers of 4096 follow and are all that learns (`--freeze`, by default, where the convolutions have weights). Afterwards
support vector machines and a regression of boxes are fitted to the features, as in R-CNN.

`spp_net_NAME` is made of any other classifier.

Deviations: without weights to begin with the convolutions learn too. One scale of the image instead of five. The parts
of a region meet without a gap; in the paper they are windows of equal size and stride, which may leave cells out. The
first dense layer begins from random weights.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convolve.layers.initializers import gaussian
from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import LEVELS, PyramidPooling
from convolve.layers.region_sampling import SamplingRule
from convolve.models import zfnet
from convolve.models.convolutional import pad_evenly
from convolve.models.network import Card, Network, Variant
from convolve.models.region_networks import build_classifier, stages_of, variant_on, without_last_pooling

EXAMPLE = "spp_net_zfnet"
HIDDEN = 4096
SAMPLING = SamplingRule()
_NAME = re.compile(r"spp_net_(.+)")
_PAPER = Card(
    name="spp_net",
    title="Spatial pyramid pooling in deep convolutional networks for visual recognition",
    authors="He, Zhang, Ren, Sun",
    year=2014,
    venue="ECCV 2014",
    address="https://arxiv.org/abs/1406.4729",
    input=(3, 688, 688),
    classes=20,
    minimum=1,
    output="boxes",
    proposals=True,
    nms_iou=(0.3, "as in the papers"),
    fixed_stages=True,
)


def _on_classifier(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = stages_of(build_classifier(base, channels, EXAMPLE))
    name, last = list(stages.items())[-1]
    stages[name] = last = without_last_pooling(last)
    pad_evenly(stages)
    inputs = last.channels * sum(level**2 for level in LEVELS)
    layers = OrderedDict[str, nn.Module](
        flatten=nn.Flatten(),
        pyramid6=gaussian(nn.Linear(inputs, HIDDEN), 0.01),
        relu6=nn.ReLU(inplace=True),
        dropout6=nn.Dropout(0.5),
        fc7=gaussian(nn.Linear(HIDDEN, HIDDEN), 0.01),
        relu7=nn.ReLU(inplace=True),
        dropout7=nn.Dropout(0.5),
    )
    head = RegionHead(PyramidPooling(last.stride), nn.Sequential(layers), HIDDEN, classes, SAMPLING, svms=True)
    return Network(card, stages, head, head_inputs=(name,))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`spp_net_resnet18` and the like: any classifier, built for its published input size; None for other names."""
    match = _NAME.fullmatch(name)
    return variant_on(_PAPER, name, find(match[1]), _on_classifier) if match else None


VARIANTS = tuple(
    variant_on(_PAPER, "spp_net_zfnet", base, _on_classifier, 73_026_709)
    for base in zfnet.VARIANTS
    if base.card.name == "zfnet"
)
