"""The one contract of every network: stages by name, then a head.

Stages are called `stage1`, `stage2` … in order. Each takes in the layers that shrink the map to its stride, so that in
networks for ImageNet `stageK` leaves a map of stride 2**K (2, 4, 8, 16, 32). What follows the last map is the head.
No stage begins with a layer that works in place, so that every map of `features` stays as it left its stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

from torch import Tensor, nn

from convolve.errors import NetworkError

Output = Literal["image", "pixels"]


@dataclass(frozen=True)
class Card:
    """What is known of a network.

    ``input`` is (channels, height, width) as published and ``minimum`` the smallest side that it can take.
    ``parameters`` and ``macs`` (multiply-adds of one image) are exact for the published input and classes, and agree
    with the paper's rounded ones. ``top1_error`` and ``top5_error``: per cent, ILSVRC-2012 validation, one network, as
    the paper gives them or the notes of its release; ``evaluation`` says which, and how they were measured.
    ``output``: what the scores are of: the whole `image`, or each of its `pixels`. ``classifier`` names the network
    whose layers this one takes over, where it is made of one.
    """

    name: str
    title: str
    authors: str
    year: int
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


@dataclass(frozen=True)
class Stage:
    """One stage: its layers, the channels that leave it, and its stride: input pixels per step of its map."""

    layers: nn.Module
    channels: int
    stride: int


@final
class Network(nn.Module):
    """Stages in order, then a head that turns the last stage's map into scores.

    Images (N, C, H, W) go in, scores (N, classes) come out, without softmax. ``channels`` and ``strides`` of the
    stages are known without running the network. ``auxiliary`` heads help the training of deep networks: each reads
    the map that leaves the layer of its name, inside a stage that is a sequence of named layers.

    A segmentation network has ``head_inputs``, the stages whose maps its head takes, as a list, together with the
    image's (height, width); its scores are (N, classes, H, W).
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

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """(N, C, H, W) images to every stage's map (N, channels, H/stride, W/stride), by stage name.

        Maps are smaller by the border that unpadded convolutions take off.
        """
        maps: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            images = maps[name] = stage(images)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, classes) scores, or of a network for pixels to (N, classes, H, W)."""
        return self._scores(images, list(self.stages), {}, images.shape[2:])

    def forward_from(self, stage: str, values: Tensor, earlier: Mapping[str, Tensor], size: Sequence[int]) -> Tensor:
        """From the map that leaves a stage to the scores of its images, whose (height, width) is ``size``.

        ``earlier`` holds the maps of the stages before it by name, those at least that the head of a network for pixels
        reads. `forward_from(stage, maps[stage], maps, size)` of an image's own maps are its scores.
        """
        names = list(self.stages)
        return self._scores(values, names[names.index(stage) + 1 :], {**earlier, stage: values}, size)

    def _scores(self, values: Tensor, names: Sequence[str], known: dict[str, Tensor], size: Sequence[int]) -> Tensor:
        """From what those stages take in to the scores; ``known`` maps stand before them."""
        for name in names:
            values = self.stages[name](values)
            if name in self.head_inputs:
                known[name] = values
        read = ([known[name] for name in self.head_inputs], (size[0], size[1])) if self.head_inputs else (values,)
        scores: Tensor = self.head(*read)
        return scores

    def scores_of_all_heads(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) images to (N, classes) scores of the head, then of the auxiliary ones; for training alone."""
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
        """What stands behind a stage, sharing its layers: takes that stage's map, gives the scores.

        Raises `NetworkError` for a network for pixels, whose head also reads earlier maps: see `forward_from`.
        """
        if self.head_inputs:
            raise NetworkError(f"The head of {self.card.name} reads several maps; use `forward_from` for {stage}.")
        names = list(self.stages)
        later = names[names.index(stage) + 1 :]
        stages = {name: Stage(self.stages[name], self.channels[name], self.strides[name]) for name in later}
        return Network(self.card, stages, self.head)


@dataclass(frozen=True)
class Variant:
    """A named network of a paper: ``build(card, classes, channels, (height, width))`` makes it with fresh weights."""

    card: Card
    build: Callable[[Card, int, int, tuple[int, int]], Network]
