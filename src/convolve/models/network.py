"""The contract that every network keeps: stages by name, then a head.

Stages are called `stage1`, `stage2` … in order. The layers that shrink a map to a stage's stride belong to that stage,
so that in networks for ImageNet `stageK` gives a map of stride 2**K (2, 4, 8, 16, 32). What follows the last map is the
head. No stage begins with a layer that works in place, so that every map of `features` stays as its stage returned it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from torch import Tensor, nn

from convolve.choices import NETWORK_FILES
from convolve.errors import NetworkError, shorten
from convolve.layers.dense_block import DenseBlock
from convolve.layers.design import Design, flags

# fmt: off
Output = Literal[
    "image", "pixels", "boxes", "box", "points", "coordinates", "faces", "restored", "stylized", "text", "embedding",
]
# fmt: on
OUTPUT_WORDS: Mapping[str, str] = {
    "image": "the whole image",
    "pixels": "pixels",
    "boxes": "boxes",
    "box": "the whole image with a box",
    "points": "points",
    "coordinates": "coordinates",
    "faces": "faces",
    "restored": "a restored image",
    "stylized": "an image in a style",
    "text": "words",
    "embedding": "an embedding",
}
"""What a network gives scores for, as sentences say it."""
Restores = Literal["detail", "holes", "colors"]
_COPY = "network"
"""What a run calls its copy of a file, before the suffix."""


@dataclass(frozen=True)
class Card:
    """What is known of a network.

    ``input`` is (channels, height, width) as published, ``minimum`` the smallest side that it can take, and sides must
    be multiples of ``multiple``. With ``own_channels`` images get the channels of ``input``, else they keep their own;
    with ``any_size`` ``input`` is but an example, and the size follows the data.
    ``parameters`` and ``macs`` (multiply-adds of one image) are exact for the published input and classes, and agree
    with the paper's rounded ones. ``top1_error`` and ``top5_error``: per cent, ILSVRC-2012 validation, one network, as
    given in the paper or in the notes of its release; ``evaluation`` says which, and how they were measured. ``output``
    says what is scored: the whole `image`, each of its `pixels`, `boxes` or `points` in it; with `box` the image, which
    gets one box too; `coordinates` are two numbers for each point; with `faces` all windows of it, of which the head's
    other networks choose; `embedding` is a vector of length 1; `restored` is an image itself, ``upscale`` times as high
    and wide as the one that enters, or with ``residual`` what is to be added to that; ``restores`` says what the one
    that enters lacks: `detail`, the pixels of `holes`, which are nan, or `colors`, so that only its lightness enters;
    `stylized` is the image in another style; `text` is words, one after another. ``classifier`` names the network whose
    layers this one takes over, if any. With ``proposals`` it scores regions of images that are proposed outside of it;
    with ``two_stages`` it proposes them itself. ``nms_iou`` is the overlap above which a detector suppresses boxes, and
    whose constant that is; ``learning_rate`` is AdamW's from random weights where that is not the usual one; with
    ``fixed_stages`` only the head learns, once the stages have weights. ``year`` is None where nobody states it;
    ``normalized`` then says whether the network has batch normalization. With ``dense`` it has no convolution, and no
    map in it shows where something is. ``note`` says what a reader of its tables should know.
    """

    name: str
    title: str
    authors: str
    year: int | None
    venue: str
    address: str
    input: tuple[int, int, int]
    classes: int
    minimum: int
    parameters: int | None = None
    macs: int | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    evaluation: str = ""
    output: Output = "image"
    classifier: str = ""
    multiple: int = 1
    own_channels: bool = False
    any_size: bool = False
    proposals: bool = False
    two_stages: bool = False
    nms_iou: tuple[float, str] | None = None
    learning_rate: float | None = None
    fixed_stages: bool = False
    normalized: bool | None = None
    dense: bool = False
    upscale: int = 1
    residual: bool = False
    restores: Restores = "detail"
    note: str = ""

    @property
    def label(self) -> str:
        """What the network is called: its name, or its title where its name is the path of a file or a text."""
        return self.title if self.name.endswith(NETWORK_FILES) or " " in self.name else self.name


def title_in_file(path: str, title: str = "") -> str:
    """What a network from a file is called: as it is called there, else as the file, or as the run that keeps it."""
    words = " ".join("".join(letter for letter in title if letter.isprintable() or letter.isspace()).split())
    file = Path(path)
    return shorten(words) or (file.resolve().parent.name if file.stem == _COPY else file.stem)


@dataclass(frozen=True)
class Stage:
    """One stage: its layers, the channels of its map, and its stride: pixels of the image per step of its map."""

    layers: nn.Module
    channels: int
    stride: int


@final
class Network(nn.Module):
    """Stages in order, then a head that turns the last stage's map into scores.

    Images (N, C, H, W) become scores (N, classes), without softmax; of a localization network (N, classes + 4), see
    `models.localization`. ``channels`` and ``strides`` of the stages are known without running the network.
    ``auxiliary`` heads help to train deep networks: each reads the output of the layer of its name, inside a stage that
    is a sequence of named layers.

    A segmentation network has ``head_inputs``, the names of the stages whose maps its head takes: a list of these maps
    and the image's (height, width). Its scores are (N, classes, H, W). The head of a detection network takes the same
    and is a `layers.box_head.BoxHead`; its outputs are a tuple of maps, one for each scale. So are those of a network
    for points, of which each map (N, points, H / stride, W / stride) is to show all points, the last one best. A
    network for restoration gives images (N, classes, upscale * H, upscale * W), whose channels are its "classes"; one
    for captions the scores of words (N, 20, classes), and its head is a `layers.caption_head.CaptionHead`. One that
    embeds images gives vectors, see `models.embedding`.

    ``design`` says how the network differs from the published one, if it does.
    """

    def __init__(
        self,
        card: Card,
        stages: Mapping[str, Stage],
        head: nn.Module,
        auxiliary: Mapping[str, nn.Module] | None = None,
        head_inputs: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.card = card
        self.channels = {name: stage.channels for name, stage in stages.items()}
        self.strides = {name: stage.stride for name, stage in stages.items()}
        self.stages = nn.ModuleDict({name: stage.layers for name, stage in stages.items()})
        self.head = head
        self.auxiliary = nn.ModuleDict(auxiliary)
        self.head_inputs = head_inputs
        self.design = Design()

    @property
    def label(self) -> str:
        """What the network is called, with what its design changes."""
        return " ".join(filter(None, (self.card.label, flags(self.design))))

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """(N, C, H, W) images to every stage's map (N, channels, H/stride, W/stride), by stage name.

        Unpadded convolutions make maps smaller by a border.
        """
        maps: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            images = maps[name] = stage(images)
        return maps

    def forward(
        self,
        values: Tensor,
        stage: str = "",
        earlier: Mapping[str, Tensor] | None = None,
        size: Sequence[int] | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W) images to scores: (N, classes), of a segmentation network (N, classes, H, W), of a detection
        network a tuple.

        Or from a ``stage``'s map to the scores of its images, whose (height, width) is ``size``; ``earlier`` holds the
        maps of the stages before it by name, at least those among ``head_inputs``. With
        `maps = network.features(images)`, `network(maps[stage], stage, maps, size)` gives the images' scores.
        """
        size = values.shape[2:] if size is None else size
        names = ["", *self.stages]
        known = {**(earlier or {}), stage: values}
        for name in names[names.index(stage) + 1 :]:
            values = self.stages[name](values)
            if name in self.head_inputs:
                known[name] = values
        scores: Tensor | tuple[Tensor, ...] = (
            self.head([known[name] for name in self.head_inputs], (size[0], size[1]))
            if self.head_inputs
            else self.head(values)
        )
        return scores

    def scores_of_all_heads(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) images to (N, classes) scores of the head, then of each auxiliary head; for training only."""
        if not self.auxiliary:
            return [self(images)]
        scores: list[Tensor] = []
        for stage in self.stages.values():
            for name, layer in stage.named_children():
                images = layer(images)
                if name in self.auxiliary:
                    scores.append(self.auxiliary[name](images))
        return [self.head(images), *scores]

    def tail(self, stage: str) -> Network:
        """The part of the network after a stage, sharing its layers: from that stage's map to the scores.

        Raises `NetworkError` for a segmentation network, whose head reads earlier maps too: see `forward`.
        """
        if self.head_inputs:
            raise NetworkError(
                f"The head of {self.card.name} reads several maps; call the network with the maps from {stage} on."
            )
        names = list(self.stages)
        later = names[names.index(stage) + 1 :]
        stages = {name: Stage(self.stages[name], self.channels[name], self.strides[name]) for name in later}
        return Network(self.card, stages, self.head)


@dataclass(frozen=True)
class Variant:
    """A named network; ``build(card, classes, channels, (height, width))`` returns it, randomly initialized."""

    card: Card
    build: Callable[[Card, int, int, tuple[int, int]], Network]


def freeze(network: Network, stage: str) -> None:
    """Freeze a stage and all before it: their parameters require no gradient, so that none is computed for them.

    Training keeps their batch normalization and dropout in evaluation mode. Raises `NetworkError` for an unknown stage.
    """
    names = list(network.stages)
    if stage not in names:
        raise NetworkError(f"{network.card.name} has no stage '{stage}' to freeze; its stages are {', '.join(names)}.")
    for name in names[: names.index(stage) + 1]:
        network.stages[name].requires_grad_(requires_grad=False)


def freeze_normalization(network: Network) -> None:
    """Freeze all batch normalization, whose statistics training then keeps."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.requires_grad_(requires_grad=False)


def save_memory(network: Network) -> None:
    """Let every part that can do so recompute values in the backward pass instead of storing them; results are the
    same.

    Dense blocks can (Pleiss et al. 2017, "Memory-efficient implementation of DenseNets"). Raises `NetworkError` where
    no part of the network can.
    """
    blocks = [module for module in network.modules() if isinstance(module, DenseBlock)]
    if not blocks:
        raise NetworkError(
            f"No part of {network.card.name} can recompute its values, as the dense blocks of a DenseNet can; leave "
            "out --save-memory or choose a smaller --batch."
        )
    for block in blocks:
        block.recompute = True
