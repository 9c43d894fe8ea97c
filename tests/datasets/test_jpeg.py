"""A plain JPEG is read by its own header, to the same pixels, sizes and sentences as by Pillow's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.images import EncodedFile
from convolve.datasets.jpeg import JpegHeader, read_jpeg_header
from convolve.errors import ImageError
from tests.datasets.synthetic import random_image

MUTATIONS = 400


def jpeg(height: int = 40, width: int = 56, channels: int = 3, **options: Any) -> bytes:
    pixels = random_image(height, width, channels)
    image, file = Image.fromarray(pixels if channels == 3 else pixels[..., 0]), io.BytesIO()
    image.convert(options.pop("mode", image.mode)).save(file, "JPEG", **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def look(blob: bytes, at_least: int, plain: bool) -> object:
    """What is seen of a file: the header and the pixels, or the sentence of an error; perhaps by Pillow alone."""
    file, seen = EncodedFile(blob, "x.jpg"), []
    if not plain:
        file.__dict__["_plain"] = None
    for part in (lambda: file.header, lambda: file.decode(at_least).tolist()):
        try:
            seen.append(part())
        except ImageError as error:
            seen.append(str(error))
    return seen


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 20, "subsampling": 2}, {"comment": b"seen"}]
)
def test_the_header_of_plain_files(channels: int, options: dict[str, Any]) -> None:
    blob = jpeg(channels=channels, **options)
    header = read_jpeg_header(blob)
    assert header == JpegHeader(40, 56, channels == 1, blob.index(b"\xff\xda"))
    for at_least in (0, 20, 16, 10, 128):
        assert look(blob, at_least, plain=True) == look(blob, at_least, plain=False)


@pytest.mark.parametrize(
    ("at_least", "reduction"), [(0, 1), (41, 1), (40, 1), (21, 1), (20, 2), (11, 2), (10, 4), (6, 4), (5, 8)]
)
def test_the_reduction_keeps_the_shorter_side_long_enough(at_least: int, reduction: int) -> None:
    assert JpegHeader(40, 56, gray=False, scan=0).reduction(at_least) == reduction


@pytest.mark.parametrize(
    "options", [{"exif": exif(6)}, {"mode": "CMYK"}, {"icc_profile": b"p" * 200}, {"xmp": b"<x/>"}]
)
def test_other_files_are_left_to_pillow(options: dict[str, Any]) -> None:
    assert read_jpeg_header(jpeg(**options)) is None


@pytest.mark.parametrize("blob", [b"", b"\xff\xd8", jpeg()[:200], jpeg()[2:], b"\xff\xd8" + 40 * b"\xff\xc4\x00\x02"])
def test_what_is_no_whole_header_is_none(blob: bytes) -> None:
    assert read_jpeg_header(blob) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_damaged_files_give_the_same_pixels_or_the_same_sentence(channels: int) -> None:
    random, blob = np.random.default_rng(channels), jpeg(24, 32, channels, quality=60)
    scan = blob.index(b"\xff\xda")
    plain = 0
    for _ in range(MUTATIONS):
        changed = bytearray(blob)
        for position in random.integers(2, scan + 30, random.integers(1, 3)):
            changed[position] = random.integers(0, 256)
        damaged = bytes(changed[: random.integers(scan, len(blob))] if random.random() < 0.2 else changed)
        plain += read_jpeg_header(damaged) is not None
        assert look(damaged, 8, plain=True) == look(damaged, 8, plain=False), damaged.hex()
    assert MUTATIONS / 4 < plain < MUTATIONS
