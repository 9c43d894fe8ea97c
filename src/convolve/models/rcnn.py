"""R-CNN: every proposed region goes through a whole classifier, as an image of its own.

Girshick, Donahue, Darrell, Malik 2014, "Rich feature hierarchies for accurate object detection and semantic
segmentation", sections 2 and 3 and appendices A to C; the authors' program, and its network, which is CaffeNet.

rcnn_caffenet at 3x500x500: stage1 3x500x500

The only stage is the image itself. Of each region, which are proposed outside of the network, a window with 16 pixels
of context on each side becomes an image of the size that the classifier was published for; the features before its
last layer are what a new layer scores for the classes and background. That is trained on 128 windows a step, a quarter
of them objects. Afterwards support vector machines on the features take that layer's place, and a linear regression
moves the boxes (`layers.region_svms`, `tasks.detect.region_training`).

`rcnn_NAME` is made of any other classifier, as `rcnn_resnet18`, and `rcnn64_NAME` reads windows of 64x64 instead of the
published size. Where scores come from a 1x1 convolution, as in SqueezeNet, the means of the maps before it are the
features.

Deviations: windows are cut from the network's input. The regression reads the features that the machines read; the
authors' reads those of the last pooling. All learning rates are equal; in the paper that of the new layer is tenfold.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import WarpedWindow
from convolve.layers.region_sampling import SamplingRule
from convolve.models import alexnet
from convolve.models.network import Card, Network, Stage, Variant
from convolve.models.region_networks import build_classifier, hidden_layers, last_width, stages_of, variant_on

EXAMPLE = "rcnn_resnet18"
SAMPLING = SamplingRule(least_iou=0.0)
_NAME = re.compile(r"rcnn([1-9]\d{0,3})?_(.+)")
_PAPER = Card(
    name="rcnn",
    title="Rich feature hierarchies for accurate object detection and semantic segmentation",
    authors="Girshick, Donahue, Darrell, Malik",
    year=2014,
    venue="CVPR 2014",
    address="https://arxiv.org/abs/1311.2524",
    input=(3, 500, 500),
    classes=20,
    minimum=1,
    output="boxes",
    proposals=True,
    nms_iou=(0.3, "as in the papers"),
)


def _on_classifier(
    base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int], side: int | None = None
) -> Network:
    del size  # any
    height, width = base.card.input[1:] if side is None else (side, side)
    if height != width:
        raise NetworkError(f"{base.card.name} does not take square images, which regions become; choose another one.")
    if height < base.card.minimum or height % base.card.multiple:
        raise NetworkError(
            f"{base.card.name} cannot take windows of {height}x{height}: its smallest side is {base.card.minimum} "
            f"pixels, and sides must be multiples of {base.card.multiple}; choose another number in the name."
        )
    classifier = build_classifier(base, channels, EXAMPLE, (height, width))
    layers = OrderedDict[str, nn.Module]({name: stage.layers for name, stage in stages_of(classifier).items()})
    layers |= hidden_layers(classifier)
    head = RegionHead(WarpedWindow(height), nn.Sequential(layers), last_width(classifier), classes, SAMPLING, svms=True)
    return Network(card, {"stage1": Stage(nn.Identity(), channels, 1)}, head, head_inputs=("stage1",))


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`rcnn_resnet18` and the like: any classifier, with windows of its published size, or `rcnn64_resnet18` with those
    of 64x64; None for other names.
    """
    match = _NAME.fullmatch(name)
    if not match:
        return None
    build = partial(_on_classifier, side=int(match[1])) if match[1] else _on_classifier
    return variant_on(_PAPER, name, find(match[2]), build)


VARIANTS = tuple(
    variant_on(_PAPER, "rcnn_caffenet", base, _on_classifier, 56_954_261)
    for base in alexnet.VARIANTS
    if base.card.name == "caffenet"
)
