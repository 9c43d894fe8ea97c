"""Masks and lists of classes as programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convolve.values import IGNORE, Pixels
from tests.datasets.mutations.pixels import encode

COLORS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
"""Of classes 0, 1 and 2, as Pascal VOC paints them."""
_VOID_COLOR = (224, 224, 192)
_BORDER = 3  # of a pet


@dataclass
class MaskStyle:
    """``classes`` is their number, ``values`` what is stored for each; ``mode`` one of gray, palette, palettes (another
    order in each file), bits, 16 bits, colors, gray colors, mixed (gray in some files, gray colors in others),
    transparent (where there is no object) and trimap. If ``joined``, all objects are of one class.
    """

    classes: int = 3
    values: tuple[int, ...] = (0, 1, 2)
    mode: str = "gray"
    void: bool = False
    joined: bool = False

    def render(self, mask: Pixels, number: int, suffix: str) -> bytes:
        """The file of a mask of class indices."""
        table = np.full(256, _BORDER if self.mode == "trimap" else IGNORE, np.uint8)
        table[: self.classes] = self.values[: self.classes]
        if self.mode == "colors":
            colors = np.full((256, 3), _VOID_COLOR, np.uint8)
            colors[: self.classes] = COLORS[: self.classes]
            return encode(colors[mask], suffix)
        if self.mode in ("gray colors", "mixed") and (number % 2 or self.mode == "gray colors"):
            return encode(np.repeat(table[mask][..., None], 3, axis=-1), suffix)
        if self.mode == "transparent":
            colors = np.array([(200, 200, 200, 0), (128, 0, 0, 255), (0, 128, 0, 255)], np.uint8)
            return encode(colors[mask], suffix)
        if self.mode in ("palette", "palettes"):
            return self._indexed(mask, number, suffix)
        if self.mode == "bits":
            return encode(mask > 0, suffix)
        if self.mode == "16 bits":
            return encode(table[mask].astype(np.uint16), suffix)
        return encode(table[mask], suffix)

    def _indexed(self, mask: Pixels, number: int, suffix: str) -> bytes:
        order = list(range(self.classes))
        if self.mode == "palettes" and number % 2:
            order = [0, *reversed(order[1:])]
        palette = np.zeros((256, 3), np.uint8)
        palette[IGNORE] = _VOID_COLOR
        for index, position in enumerate(order):
            palette[position] = COLORS[index]
        table = np.full(256, IGNORE, np.uint8)
        table[: self.classes] = order
        return encode(table[mask], suffix, palette=palette.tobytes())


@dataclass
class ClassList:
    """A text next to the images that names classes, in one of some styles."""

    path: str
    names: tuple[str, ...]
    style: str = "names"

    @property
    def colored(self) -> bool:
        """Whether each name has its color."""
        return self.style in ("colors first", "csv of colors", "labelmap")

    def render(self, count: int) -> bytes:
        """UTF-8, with the first names."""
        return ("\n".join(self._lines(self.names[:count])) + "\n").encode()

    def _lines(self, names: Sequence[str]) -> list[str]:
        rows = list(zip(names, COLORS, strict=False))
        if self.style == "colors first":
            return [" ".join([*map(str, color), name]) for name, color in rows]
        if self.style == "csv of colors":
            return ["name,r,g,b", *(",".join([name, *map(str, color)]) for name, color in rows)]
        if self.style == "numbers":
            return [f"{number} {name}" for number, name in enumerate(names)]
        if self.style == "csv of numbers":
            return ["id,name", *(f"{number},{name}" for number, name in enumerate(names))]
        if self.style == "labelmap":
            lines = [f"{name}:{','.join(map(str, color))}::" for name, color in rows]
            return ["# label:color_rgb:parts:actions", *lines]
        return list(names)
