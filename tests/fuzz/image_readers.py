"""Fuzzers of images, masks and stacks."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convolve.datasets.images import EncodedFile
from convolve.datasets.layouts import open_dataset
from convolve.datasets.stored_masks import read_stored
from convolve.marks import has_mark
from tests.datasets.synthetic import random_image
from tests.fuzz.reader import put, register, use


def encode(pixels: Any, kind: str, **options: Any) -> bytes:
    """An image file."""
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


PHOTO = Image.fromarray(random_image(40, 56))
GRAY = PHOTO.convert("L")
CLEAR = PHOTO.convert("RGBA")
CLASSES = Image.fromarray(np.repeat(np.arange(3, dtype=np.uint8), 4)[:, None].repeat(16, 1))
PAGES = [Image.fromarray(random_image(12, 16, 1, seed)[..., 0]) for seed in range(3)]
_IMAGES = "datasets.images datasets.jpeg"


def _oriented(kind: str, image: Image.Image = PHOTO, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(image, kind, exif=exif, **options)


def _jpegs() -> Sequence[bytes]:
    return [
        encode(PHOTO, "JPEG"),
        encode(GRAY, "JPEG"),
        encode(PHOTO, "JPEG", progressive=True),
        _oriented("JPEG"),
        encode(PHOTO.convert("CMYK"), "JPEG"),
    ]


def _pngs() -> Sequence[bytes]:
    deep = Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 200)
    palette = PHOTO.quantize(16)
    return [
        encode(PHOTO, "PNG"),
        encode(CLEAR, "PNG"),
        encode(deep, "PNG"),
        encode(palette, "PNG", transparency=2),
        encode(GRAY.convert("1"), "PNG"),
        _oriented("PNG"),
    ]


def _tiffs() -> Sequence[bytes]:
    compressed = [encode(PHOTO, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits")]
    turned = encode(PHOTO, "TIFF", tiffinfo={0x0112: 6})
    deep = encode(Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 200), "TIFF")
    return [*compressed, turned, deep, encode(GRAY.convert("1"), "TIFF", compression="group4"), encode(CLEAR, "TIFF")]


def _others(kind: str) -> Sequence[bytes]:
    if kind == "WEBP":
        moving = encode(PHOTO, kind, save_all=True, append_images=[GRAY.convert("RGB")])
        return [encode(PHOTO, kind), encode(CLEAR, kind, lossless=True), moving, _oriented(kind)]
    if kind == "GIF":
        return [encode(PHOTO.quantize(8), kind), encode(GRAY, kind, save_all=True, append_images=PAGES)]
    if kind == "AVIF":
        return [encode(PHOTO, kind), _oriented(kind), encode(CLEAR, kind)]
    return [encode(PHOTO, kind), encode(GRAY, kind), encode(GRAY.convert("1"), kind)]


def _decode(content: bytes, _folder: Path, name: str = "image") -> None:
    encoded = EncodedFile(content, name)
    size, gray = encoded.header.size, encoded.header.gray
    shape = encoded.decode().shape
    assert shape[:2] == size, f"the header says {size}, and the image has {shape}"
    assert shape[2] in ((1, 3) if gray else (3, 1))
    assert min(encoded.decode(8).shape[:2]) >= min(8, *size)


def _read_mask(content: bytes, folder: Path) -> None:
    put(folder, {"mask.png": content})
    has_mark(str(folder / "mask.png"))
    mask = read_stored(folder / "mask.png")
    mask.translate(mask.values, by_color=True)


def _open_masks(content: bytes, folder: Path) -> None:
    image = encode(PHOTO.resize((16, 12)), "PNG")
    others = {f"images/{number}.png": image for number in range(3)}
    put(folder, {**others, **{f"masks/{number}.png": encode(CLASSES, "PNG") for number in (0, 1)}})
    put(folder, {"masks/2.png": content})
    use(open_dataset(folder))


def _open_stack(content: bytes, folder: Path, changed: str) -> None:
    labels = encode(CLASSES, "TIFF", save_all=True, append_images=[CLASSES, CLASSES])
    volume = encode(PAGES[0], "TIFF", save_all=True, append_images=PAGES[1:])
    put(folder, {"train-volume.tif": volume, "train-labels.tif": labels} | {f"train-{changed}.tif": content})
    use(open_dataset(folder))


def _pages(kind: str) -> Sequence[bytes]:
    pages = PAGES if kind == "volume" else [CLASSES] * 3
    return [
        encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw"),
    ]


def _open_folder(content: bytes, folder: Path) -> None:
    """An image whose name says nothing of its format, among others of its class."""
    put(folder, {"a/1.png": encode(GRAY, "PNG"), "b/2.png": encode(PHOTO, "PNG"), "b/3": content, "a/4.tif": content})
    use(open_dataset(folder))


def _dicoms() -> Sequence[bytes]:
    from tests.datasets.test_dicom import encoded

    gray = np.arange(48, dtype=np.int16).reshape(6, 8)
    return [encoded(gray), encoded(np.arange(144, dtype=np.uint8).reshape(6, 8, 3)), encoded(gray, WindowCenter=20)]


register("img-jpeg", _IMAGES, _jpegs, _decode)
register("img-png", _IMAGES, _pngs, _decode)
register("img-tiff", _IMAGES, _tiffs, _decode)
for _kind in ("WEBP", "GIF", "BMP", "PPM", "AVIF"):
    register(f"img-{_kind.lower()}", _IMAGES, partial(_others, _kind), _decode)
register("mask", "datasets.stored_masks datasets.masks marks", lambda: [*_pngs(), encode(CLASSES, "PNG")], _read_mask)
register("mask-tiff", "datasets.stored_masks datasets.masks", _tiffs, _read_mask)
register(
    "masks",
    "datasets.masks datasets.stored_masks",
    lambda: [encode(CLASSES, "PNG"), encode(CLASSES.convert("RGB"), "PNG"), encode(CLASSES, "GIF")],
    _open_masks,
)
for _changed in ("volume", "labels"):
    register(
        f"stack-{_changed}",
        "datasets.layouts.stacks",
        partial(_pages, _changed),
        partial(_open_stack, changed=_changed),
    )
register(
    "folder",
    "datasets.inventory datasets.layouts.tiff_pages",
    lambda: [*_tiffs(), *_pages("volume"), *_jpegs()],
    _open_folder,
)
if importlib.util.find_spec("pydicom"):
    register("dicom", "datasets.dicom", _dicoms, lambda content, folder: _decode(content, folder, "image.dcm"))
