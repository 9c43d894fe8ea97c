"""What every head of a detection network can do: say which boxes its outputs mean, and how wrong they are."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from convolve.targets import BoxTensors

Maps = tuple[Tensor, ...]
"""What leaves a detection network: one tensor for each scale, before any activation."""


class Candidates(NamedTuple):
    """All boxes that a network gives out for N images, before any threshold.

    ``boxes`` (N, B, 4) are left, top, right, bottom in pixels of the input, not clipped to it; ``scores`` (N, B, C) lie
    between 0 and 1, one for each class. Both are float32.
    """

    boxes: Tensor
    scores: Tensor


class BoxHead(Protocol):
    """The head of a detection network: a module that turns the maps of the stages among `Network.head_inputs`, and the
    image's (height, width), into `Maps`.
    """

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """The boxes that the outputs for images of a ``size`` (height, width) mean."""
        ...

    def loss(self, outputs: Maps, targets: BoxTensors, size: tuple[int, int]) -> dict[str, Tensor]:
        """Named scalars, means over the images: `loss`, and its parts. In training mode it may count images."""
        ...

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """Adapt the sizes of boxes that it expects to ``sides`` (M, 2), widths and heights in pixels of the input; a
        head without anchors does nothing.
        """
        ...
