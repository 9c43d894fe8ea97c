"""Parts of images as images of their own: one person of a photograph, one face."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

import numpy as np

from convolve.datasets.images import DIGEST_BYTES, TakenImages
from convolve.values import EncodedImage, Header, Images, Indices, Pixels

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in whole pixels of the upright image."""


@final
@dataclass(frozen=True, eq=False)
class EncodedCrop(EncodedImage):
    """The ``box`` of an image that is read whole."""

    image: EncodedImage
    box: Box

    @property
    def digest(self) -> bytes:
        """BLAKE2b of the whole image's digest and the box."""
        content = self.image.digest + ",".join(map(str, self.box)).encode()
        return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()

    @property
    def header(self) -> Header:
        """That of the box as an upright image. Raises `ImageError`."""
        left, top, right, bottom = self.box
        return Header((bottom - top, right - left), self.image.header.gray)

    def decode(self, at_least: int = 0) -> Pixels:  # noqa: ARG002 - a reduced image would move the box's edges
        """(H, W, 1 or 3) at full size. Raises `ImageError`."""
        left, top, right, bottom = self.box
        return np.ascontiguousarray(self.image.decode()[top:bottom, left:right])


@final
@dataclass(frozen=True, eq=False)
class CroppedImages(Images):
    """Parts of other images: the M ``boxes`` (M, 4; left, top, right, bottom in whole pixels) of those with the indices
    ``sources`` (M,), called `photo.jpg#1`, `photo.jpg#2` and so on by their ``numbers`` (M,).
    """

    images: Images
    sources: Indices
    boxes: Indices
    numbers: Indices

    def __len__(self) -> int:
        return len(self.sources)

    def name(self, index: int) -> str:
        """The name of the whole image with the part's number."""
        return f"{self.images.name(int(self.sources[index]))}#{self.numbers[index]}"

    def open(self, index: int) -> EncodedCrop:
        """A part of an image. Raises `ImageError`."""
        left, top, right, bottom = self.boxes[index].tolist()
        return EncodedCrop(self.images.open(int(self.sources[index])), (left, top, right, bottom))

    def take(self, indices: Indices) -> CroppedImages:
        """Some of the parts, in the order asked."""
        return CroppedImages(self.images, self.sources[indices], self.boxes[indices], self.numbers[indices])


def whole_images(images: Images) -> tuple[Images, Indices, Indices]:
    """The images that some are parts of, (N,) which of them each is in, and (N, 2) where its corner is there (x and y);
    images that are no parts are themselves.
    """
    if isinstance(images, CroppedImages):
        return images.images, images.sources, images.boxes[:, :2]
    if isinstance(images, TakenImages):
        whole, sources, corners = whole_images(images.images)
        return whole, sources[images.indices], corners[images.indices]
    return images, np.arange(len(images)), np.zeros((len(images), 2), dtype=np.int64)


@final
@dataclass(frozen=True)
class ImagePart:
    """Which image something is a part of, by name and ``size`` (height, width), and where its ``corner`` is there (x
    and y); an image that is no part is itself.
    """

    whole: str
    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)


def part_of(images: Images, index: int, encoded: EncodedImage) -> ImagePart:
    """What one of some images, which has been opened, is a part of. Raises `ImageError`."""
    if not isinstance(encoded, EncodedCrop):
        return ImagePart(images.name(index), encoded.header.size)
    whole, sources, _ = whole_images(images)
    return ImagePart(whole.name(int(sources[index])), encoded.image.header.size, encoded.box[:2])


def decode_whole(encoded: EncodedImage) -> Pixels:
    """(H, W, 1 or 3) the image at full size, or the one that it is a part of. Raises `ImageError`."""
    return (encoded.image if isinstance(encoded, EncodedCrop) else encoded).decode()
