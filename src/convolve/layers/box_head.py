"""What every head of a detection network can do: say which boxes its outputs mean, and how wrong they are."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.description import Series
from convolve.targets import BoxTensors

Maps = tuple[Tensor, ...]
"""What leaves a detection network: one tensor for each scale, before any activation. A head that scores regions which
are proposed outside of the network (`Card.proposals`) takes them as one tensor more at the end: (N, R, 4), in pixels of
the input; one without an area is none."""


class Candidates(NamedTuple):
    """All boxes that a network predicts for N images, before any threshold.

    ``boxes`` (N, B, 4), or each class's own (N, B, C, 4), are left, top, right, bottom in pixels of the input, not
    necessarily within it; ``scores`` (N, B, C) lie between 0 and 1, one for each class. Both are float32.
    """

    boxes: Tensor
    scores: Tensor


class BoxDecoder(Protocol):
    """What `Maps` mean."""

    @property
    def anchors(self) -> Tensor | None:
        """(…, 2) widths and heights, in pixels of the input, that boxes are relative to; None without any."""
        ...

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """The boxes that the outputs for images of a ``size`` (height, width) mean."""
        ...

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """Adapt the sizes of boxes that it expects to ``sides`` (M, 2), widths and heights in pixels of the input; a
        head without anchors does nothing.
        """
        ...


class BoxHead(BoxDecoder, Protocol):
    """The head of a detection network: a module that turns the maps of the stages among `Network.head_inputs`, and the
    image's (height, width), into `Maps`. It is called under the caller's autocast, and computes in float32 what needs
    it.
    """

    def loss(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named scalars, means over the images: `loss`, and its parts. In training mode it may count images.

        ``random`` is the source of random numbers in training; without it, what is random is the same each time.
        """
        ...


class BoxOutput(BoxDecoder, Protocol):
    """What the maps that leave convolutions mean, in float32, and how wrong they are."""

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """Named scalars, means over the images: `loss`, and its parts. In training mode it may count images."""
        ...


@final
class ConvolutionalBoxHead(nn.Module):
    """Layers that turn the maps of stages into `Maps`, and the meaning of these.

    ``layers`` takes the list of maps and returns the tuple, ``output`` says which boxes they are and how wrong. Sides
    of images must be multiples of ``multiple`` pixels.
    """

    def __init__(self, layers: nn.Module, output: BoxOutput, multiple: int) -> None:
        super().__init__()
        self.layers = layers
        self.output = output
        self.multiple = multiple

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Maps:
        """The stages' maps, fine to coarse, and the images' (height, width) to one map for each scale.

        Raises `NetworkError` for a size that does not divide into whole cells.
        """
        if size[0] % self.multiple or size[1] % self.multiple:
            raise NetworkError(
                f"Images of {size[1]}x{size[0]} pixels do not divide into whole cells; choose sides that are multiples "
                f"of {self.multiple}."
            )
        outputs: Maps = self.layers(maps)
        return outputs

    @property
    def anchors(self) -> Tensor | None:
        """Those of the ``output``."""
        return self.output.anchors

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """The boxes that the outputs for images of a ``size`` (height, width) mean."""
        with _no_autocast(outputs):
            return self.output.decode(tuple(map_.float() for map_ in outputs), size)

    def loss(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named scalars, means over the images: `loss`, and its parts; nothing is random."""
        del random
        with _no_autocast(outputs):
            return self.output.loss(tuple(map_.float() for map_ in outputs), targets, size)

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """Adapt the anchors, if there are any, to sides (M, 2) of boxes in pixels of the input."""
        self.output.fit_anchors(sides, seed)

    def describe(self) -> Series:
        """Its layers."""
        return Series(("layers",))


def _no_autocast(outputs: Maps) -> AbstractContextManager[object]:
    """Arithmetic as it is written, on the device of the outputs; shapes alone have none."""
    return nullcontext() if outputs[0].is_meta else torch.autocast(outputs[0].device.type, enabled=False)
