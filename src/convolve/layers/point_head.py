"""The head of a network for points: layers that make heatmaps of the stages' maps."""

from __future__ import annotations

from typing import cast, final

from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.description import Series

Maps = tuple[Tensor, ...]


@final
class PointHead(nn.Module):
    """``layers`` take the last stage's map and give one tensor of heatmaps (N, points, h, w), or a tuple of several, of
    which the last is the network's answer. Sides of images must be multiples of ``multiple`` pixels.
    """

    def __init__(self, layers: nn.Module, multiple: int) -> None:
        super().__init__()
        self.layers = layers
        self.multiple = multiple

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Maps:
        """The last stage's map alone, and the images' (height, width), to the heatmaps. Raises `NetworkError` for sides
        that are no multiples.
        """
        if any(side % self.multiple for side in size):
            raise NetworkError(
                f"Images of {size[1]}x{size[0]} pixels do not divide into whole cells; choose sides that are multiples "
                f"of {self.multiple}."
            )
        (map_,) = maps
        found = self.layers(map_)
        return cast(Maps, found) if isinstance(found, tuple) else (found,)

    def describe(self) -> Series:
        """Its layers alone."""
        return Series(("layers",))
