"""The heads of YOLO v2 and v3 on any classifier: `yolo_v2_resnet18`, `yolo_v3_resnet18`.

`convolve.models.yolo_v2` and `convolve.models.yolo_v3` have the papers' own networks. Here the stages are those of
another classifier, padded evenly, and their weights fit. Sides may be any multiples of 32.

The head of v2 is as wide as the last map, 1024 at most. Its fine map is the last one of half the stride, if there is
one; it is folded as space to depth, and not in Darknet's order. The head of v3 needs maps of three strides that double,
and is as wide as they are, 1024, 512 and 256 at most.

The last convolutions start at N(0, 0.01²), so that the first boxes are the anchors. In v3 their biases let an object be
present with probability 0.01, as most boxes have none (Lin, Goyal, Girshick, He, Dollár 2017, "Focal loss for dense
object detection", section 3.3); in v2 they are zero, for the squared error of such a small probability has hardly any
gradient.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convolve.errors import NetworkError
from convolve.layers.anchor_grid import start_from_anchors
from convolve.layers.initializers import he_normal
from convolve.layers.leaky import leaky_convolution
from convolve.layers.scales import Passthrough
from convolve.models import yolo_v2, yolo_v3
from convolve.models.convolutional import pad_evenly
from convolve.models.network import Card, Network, Stage, Variant

WIDEST = (1024, 512, 256)
_FINE = 64  # channels of the fine map at most
_ANCHORS = 3  # of each scale of v3
_NAME = re.compile(r"yolo_v([23])_(.+)")


def name_for(classifier: str) -> str:
    """The name of a classifier's detection network."""
    return f"yolo_v2_{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`yolo_v2_resnet18` and the like: any classifier, built for its published input size; None for other names."""
    match = _NAME.fullmatch(name)
    if not match:
        return None
    base = find(match[2])
    paper, build = (yolo_v2, _with_passthrough) if match[1] == "2" else (yolo_v3, _with_scales)
    return Variant(paper.detector_card(name, base.card.input[0], base.card.name), partial(build, base))


def _with_passthrough(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "yolo_v2_resnet18")
    coarse, deepest = list(stages.items())[-1]
    finer = [name for name, stage in stages.items() if 2 * stage.stride == deepest.stride][-1:]
    width, fine, reduced = min(deepest.channels, WIDEST[0]), None, 0
    if finer:
        source = stages[finer[0]].channels
        reduced = min(source, _FINE)
        fine = nn.Sequential(OrderedDict(conv3=leaky_convolution(source, reduced, 1), fold=nn.PixelUnshuffle(2)))
    outputs = nn.Conv2d(width, len(yolo_v2.VOC) * (5 + classes), 1)
    deep = OrderedDict[str, nn.Module](
        conv1=leaky_convolution(deepest.channels, width), conv2=leaky_convolution(width, width)
    )
    last = OrderedDict(conv4=leaky_convolution(width + 4 * reduced, width), outputs=outputs)
    layers = Passthrough(nn.Sequential(deep), fine, nn.Sequential(last)).apply(he_normal)
    start_from_anchors(outputs, len(yolo_v2.VOC), rare=False)
    return Network(card, stages, yolo_v2.region_head(layers, yolo_v2.VOC), head_inputs=(*finer, coarse))


def _with_scales(base: Variant, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size  # any
    stages = even_stages(base, channels, "yolo_v3_resnet18")
    last = {stage.stride: name for name, stage in stages.items()}  # of several maps of a stride the last
    names = [name for stride, name in last.items() if max(last) in (stride, 2 * stride, 4 * stride)][::-1]
    if len(names) < len(WIDEST):
        raise NetworkError(
            f"{base.card.name} has no maps of three strides that double, which a YOLO v3 needs; choose "
            f"yolo_v2_{base.card.name} or another classifier."
        )
    read = [stages[name].channels for name in names]
    widths = [min(pair) for pair in zip(read, WIDEST, strict=True)]
    layers = yolo_v3.pyramid(read, widths, _ANCHORS * (5 + classes)).apply(he_normal)
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            start_from_anchors(layer, _ANCHORS, rare=True)
    return Network(card, stages, yolo_v3.yolo_head(layers, yolo_v3.COCO), head_inputs=tuple(reversed(names)))


def even_stages(base: Variant, channels: int, example: str) -> dict[str, Stage]:
    """The classifier's own stages, evenly padded. Raises `NetworkError` where that does not keep maps in step."""
    network = base.build(base.card, base.card.classes, channels, base.card.input[1:])
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise NetworkError(f"{base.card.name} is not a convolutional classifier; name one that is, as in {example}.")
    stages = {
        name: Stage(layers, network.channels[name], network.strides[name]) for name, layers in network.stages.items()
    }
    pad_evenly(stages)
    convolutions = (layer for layer in network.stages.modules() if isinstance(layer, nn.Conv2d))
    if any(side % 2 == 0 and layer.stride == (1, 1) for layer in convolutions for side in layer.kernel_size):
        raise NetworkError("A Conv2d cannot be padded to keep the size of its map; choose another classifier.")
    return stages
