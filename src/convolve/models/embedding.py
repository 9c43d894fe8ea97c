"""An embedding: images as vectors of length 1, near to each other where they show the same.

Schroff, Kalenichenko, Philbin 2015, "FaceNet: a unified embedding for face recognition and clustering", section 3;
Deng, Guo, Xue, Zafeiriou 2019, "ArcFace: additive angular margin loss for deep face recognition", section 3.1.

embed_resnet18 at 3x224x224: stage1 64x112x112, stage2 64x56x56, stage3 128x28x28, stage4 256x14x14, stage5 512x7x7,
then 128 numbers

`embed_NAME` is any convolutional classifier with, in place of its head, the mean of the last map, one dense layer of
128 units as in FaceNet and batch normalization, after which the vector is divided by its length. `embed512_NAME` has
512 units, as in ArcFace; any number may stand there. A network for C identities keeps a vector for each, its
``centers``: in training those of ArcFace's loss, afterwards the mean embeddings of the identities.

Deviations: ArcFace's output layer reads the whole map and has dropout; here the map is averaged, so that images of
other sizes can be embedded too. What a classifier's head does before its pooling is left out.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.layers.description import Series
from convolve.layers.initializers import gaussian
from convolve.models.localization import classifier_after
from convolve.models.network import Card, Network, Stage, Variant

SIZE = 128
MOST = 8192
_DEVIATION = 0.01
_NAME = re.compile(r"embed([1-9]\d*)?_")


@final
class EmbeddingHead(nn.Module):
    """``layers`` from the last map to ``size`` numbers; ``centers`` (identities, size).

    Shape: (N, C, H, W) -> (N, size)
    """

    def __init__(self, channels: int, size: int, identities: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            OrderedDict[str, nn.Module](
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                embedding=gaussian(nn.Linear(channels, size, bias=False), _DEVIATION),
                norm=nn.BatchNorm1d(size),
            )
        )
        self.centers = nn.Parameter(torch.randn(identities, size) * _DEVIATION, requires_grad=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Vectors of length 1."""
        return F.normalize(self.layers(maps))

    def describe(self) -> Series:
        """Its layers alone."""
        return Series(("layers",))


def name_for(classifier: str) -> str:
    """The name of a classifier's network for embeddings."""
    return f"embed_{classifier}"


def family(name: str, find: Callable[[str], Variant]) -> Variant | None:
    """`embed_resnet18`, `embed512_resnet18` and the like: any convolutional classifier; None for other names. Raises
    `NetworkError` for a network that is no convolutional classifier, and for more than 8192 numbers.
    """
    match = _NAME.match(name)
    base = classifier_after(match[0], name, find) if match else None
    if match is None or base is None:
        return None
    size = int(match[1] or SIZE)
    if size > MOST:
        raise NetworkError(f"{name} would embed images as {size} numbers; the most are {MOST}.")
    if base.card.dense:
        raise _without_map(base.card)
    card = Card(
        name=name,
        title="ArcFace: additive angular margin loss for deep face recognition",
        authors="Deng, Guo, Xue, Zafeiriou",
        year=2019,
        venue="CVPR 2019",
        address="https://arxiv.org/abs/1801.07698",
        input=base.card.input,
        classes=base.card.classes,
        minimum=base.card.minimum,
        output="embedding",
        classifier=base.card.name,
        multiple=base.card.multiple,
        own_channels=base.card.own_channels,
    )
    return Variant(card, partial(_with_embedding, base, size))


def _without_map(card: Card) -> NetworkError:
    return NetworkError(f"{card.name} has no convolutional stage whose map could be averaged; choose another network.")


def _with_embedding(
    base: Variant, numbers: int, card: Card, classes: int, channels: int, size: tuple[int, int]
) -> Network:
    network = base.build(base.card, classes, channels, size)
    if network.head_inputs or not any(True for _ in network.stages.parameters()):
        raise _without_map(base.card)
    stages = {name: Stage(part, network.channels[name], network.strides[name]) for name, part in network.stages.items()}
    return Network(card, stages, EmbeddingHead(list(stages.values())[-1].channels, numbers, classes))
