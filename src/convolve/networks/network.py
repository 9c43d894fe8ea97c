"""The one contract of every network: stages by name, then a head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Card:
    """What is known of a network.

    ``input`` is (channels, height, width) as published and ``minimum`` the smallest side that it can take.
    ``parameters`` and ``macs`` (multiply-adds of one image) are for the published input and classes, where the paper
    or its authors give them. ``top1_error`` and ``top5_error``: per cent, ILSVRC validation, single crop.
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


@dataclass(frozen=True)
class Stage:
    """One stage: its layers, the channels that leave it, and its stride: input pixels per step of its map."""

    layers: nn.Module
    channels: int
    stride: int


class Network(nn.Module):
    """Stages in order, then a head that turns the last stage's map into scores.

    Images (N, C, H, W) go in, scores (N, classes) come out, without softmax. ``channels`` and ``strides`` of the
    stages are known without running the network.
    """

    def __init__(self, card: Card, stages: Mapping[str, Stage], head: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.channels = {name: stage.channels for name, stage in stages.items()}
        self.strides = {name: stage.stride for name, stage in stages.items()}
        self.stages = nn.ModuleDict({name: stage.layers for name, stage in stages.items()})
        self.head = head

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """(N, C, H, W) images to every stage's map (N, channels, H/stride, W/stride), by stage name."""
        maps: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            images = maps[name] = stage(images)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, classes) scores."""
        for stage in self.stages.values():
            images = stage(images)
        scores: Tensor = self.head(images)
        return scores


@dataclass(frozen=True)
class Variant:
    """A named network of a paper: ``build(card, classes, channels, (height, width))`` makes it with fresh weights."""

    card: Card
    build: Callable[[Card, int, int, tuple[int, int]], Network]
