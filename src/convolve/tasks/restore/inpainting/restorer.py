"""What is to be filled in a person's image: the white part of a mask, or transparent pixels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, final

import numpy as np
from PIL import ImageOps, UnidentifiedImageError

from convolve.datasets.images import EncodedFile, ImageFiles, to_channels
from convolve.datasets.inventory import take_inventory
from convolve.errors import DataError, ImageError
from convolve.tasks.restore.inpainting.filling import fill_hole
from convolve.untrusted.images import open_image
from convolve.values import Flags, Images, Pixels

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.restore.inpainting.task import Inpaint

_WHITE = 128
"""The least gray level of a mask's hole; of opacity, the least of a known pixel."""


@final
class HoleRestorer:
    """Fills the hole that an image's mask shows."""

    def __init__(self, task: Inpaint, runtime: Runtime, mask: Path | None) -> None:
        """Raises `DataError` where the mask does not exist, or a folder has no masks."""
        if mask is not None and not mask.exists():
            raise DataError(f"{mask} does not exist; give a mask, or a folder of masks.")
        self._task, self._runtime, self._mask = task, runtime, mask
        self._masks: dict[str, Path] = {}
        if mask is not None and mask.is_dir():
            self._masks = {PurePath(name).stem: mask / name for name in take_inventory(mask).images}
            if not self._masks:
                raise DataError(f"There is no mask in {mask}; give each one the name of its image.")

    def read(self, images: Images, index: int) -> tuple[Pixels, Flags]:
        """The image and its hole (H, W). Raises `ImageError` where there is none, or the mask does not fit."""
        name, image = images.name(index), images.read(index)
        hole = self._read_hole(name, image) if self._mask else read_transparency(images, index)
        if not hole.any():
            remedy = "paint the hole white" if self._mask else "give --mask, which is white in the hole"
            raise ImageError(f"{name} has no hole to fill; {remedy}.")
        return image, hole

    def restore(self, read: tuple[Pixels, Flags]) -> Pixels:
        """The filled image."""
        image, hole = read
        return fill_hole(image, hole, self._task, self._runtime)

    def _read_hole(self, name: str, image: Pixels) -> Flags:
        path = self._masks.get(PurePath(name).stem) if self._masks else self._mask
        if path is None:
            raise ImageError(f"{name} has no mask in {self._mask}; add one of its name.")
        mask = to_channels(ImageFiles(Path(), (str(path),)).read(0), 1)[..., 0]
        if mask.shape != image.shape[:2]:
            sizes = [f"{each.shape[1]}x{each.shape[0]}" for each in (mask, image)]
            raise ImageError(
                f"The mask {path} has {sizes[0]} pixels, but {name} has {sizes[1]}; give one of that size."
            )
        return np.asarray(mask >= _WHITE)


def read_transparency(images: Images, index: int) -> Flags:
    """(H, W) where an image is transparent by half or more: nowhere if its format has no transparency. Raises
    `ImageError`.
    """
    encoded = images.open(index)
    if isinstance(encoded, EncodedFile):
        encoded.decode()  # refuses what is damaged or would take too much memory
        with suppress(UnidentifiedImageError), open_image(encoded.blob) as image:
            if image.has_transparency_data:
                return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))[..., 3] < _WHITE
    return np.zeros(encoded.header.size, bool)
