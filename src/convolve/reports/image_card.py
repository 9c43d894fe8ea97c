"""Cards of images on a page: an image and, next to it, heatmaps over it. `templates/image_card.html.j2` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the image."""


@dataclass(frozen=True)
class ImageTile:
    """One view of a card's image, with a ``caption`` and a ``note`` below it.

    ``alt`` describes it to those who cannot see it. ``heatmap`` and ``region`` are data URIs of transparent images that
    lie over the image, or empty. ``ground_truth`` boxes are drawn in green and the one that was ``found`` in white.
    ``tone`` colors the caption, and scripts find a tile by its ``method``.
    """

    alt: str
    caption: str = ""
    note: str = ""
    heatmap: str = ""
    region: str = ""
    ground_truth: tuple[Box, ...] = ()
    found: Box | None = None
    tone: Literal["", "right", "wrong"] = ""
    method: str = ""

    @property
    def size(self) -> int:
        """Bytes that its overlays take in a page."""
        return len(self.heatmap) + len(self.region)

    @property
    def boxes(self) -> Sequence[tuple[str, str]]:
        """The kind of each box, `given` or `found`, and the CSS that puts it in its position."""
        given = [("given", _position(box)) for box in self.ground_truth]
        return given if self.found is None else [*given, ("found", _position(self.found))]


def _position(box: Box) -> str:
    left, top, right, bottom = (100 * edge for edge in box)
    return f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
