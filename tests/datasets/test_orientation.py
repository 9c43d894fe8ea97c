"""Whatever a file says of its orientation, its header tells the size at which it is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from convolve.datasets.images import EncodedFile
from convolve.errors import ImageError
from convolve.values import Pixels

SIZE = (24, 40)
FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 90},
    "TIFF": {},
    "TIFF lzw": {"compression": "tiff_lzw"},
    "TIFF jpeg": {"compression": "jpeg"},
}
_ORIENTATION = 0x0112
_SHORT, _XMP_TAG = 3, 700
_HIDDEN = 0x7112  # a tag of no meaning


def corners() -> Image.Image:
    """An image whose corners differ."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    planes = [255 * columns / SIZE[1], 255 * rows / SIZE[0], 120 + 0 * rows]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def saved(name: str, **more: Any) -> bytes:
    file = io.BytesIO()
    corners().save(file, name.split(maxsplit=1)[0], **FORMATS[name], **more)
    return file.getvalue()


def exif_block(entries: list[tuple[int, int, int, bytes]], offset: int = 8) -> bytes:
    """An EXIF block, little-endian: tag, type, count and four bytes of each entry, ``offset`` bytes from its start."""
    body = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"II*\0" + struct.pack("<I", offset) + bytes(offset - 8) + struct.pack("<H", len(entries)) + body + bytes(4)


def short(value: int) -> tuple[int, int, int, bytes]:
    return _ORIENTATION, _SHORT, 1, struct.pack("<HH", value, 0)


def with_exif(name: str, block: bytes) -> bytes:
    """A file of that format with an EXIF block; in a TIFF, the block's entries are among its own."""
    if name == "AVIF":  # in which Pillow writes the orientation as a property of the image, and no odd one
        tags = [struct.pack("<H", tag) for tag in (_HIDDEN, _ORIENTATION)]
        hidden = block.replace(tags[1], tags[0])
        blob = saved(name, exif=hidden)
        assert hidden in blob
        return blob.replace(hidden, block)
    if not name.startswith("TIFF"):
        return saved(name, exif=b"Exif\0\0" + block if name == "JPEG" else block)
    blob = saved(name)
    (start,) = struct.unpack("<I", blob[4:8])
    count = int.from_bytes(blob[start : start + 2], "little")
    (at,) = struct.unpack("<I", block[4:8])
    more = int.from_bytes(block[at : at + 2], "little")
    entries = blob[start + 2 : start + 2 + 12 * count] + block[at + 2 : at + 2 + 12 * more]
    ordered = sorted(
        (entries[position : position + 12] for position in range(0, len(entries), 12)),
        key=lambda entry: int.from_bytes(entry[:2], "little"),
    )
    directory = struct.pack("<H", len(ordered)) + b"".join(ordered) + bytes(4)
    return blob[:4] + struct.pack("<I", len(blob)) + blob[8:] + directory


def decoded(blob: bytes) -> Pixels | None:
    """The pixels, None where the file is refused; the header has said their size."""
    file = EncodedFile(blob, "x")
    try:
        pixels = file.decode()
    except ImageError:
        return None
    assert EncodedFile(blob, "x").header.size == file.header.size == pixels.shape[:2]
    return pixels


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [*range(1, 9), 0, 9, 255, 2053, 65535])
def test_every_orientation(name: str, value: int) -> None:
    turns: dict[int, Any] = {
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.swapaxes(0, 1),
        6: lambda image: np.rot90(image, -1),
        7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
        8: np.rot90,
    }
    upright = decoded(saved(name))
    block = exif_block([short(value)])
    if name == "AVIF" and value not in turns:  # which it would not write
        value = 1
    pixels = decoded(saved(name, exif=block) if name == "AVIF" else with_exif(name, block))
    assert upright is not None
    assert pixels is not None
    np.testing.assert_array_equal(pixels, turns.get(value, np.asarray)(upright))


SIX = struct.pack("<HH", 6, 0)
ODD = {
    "a long number": [(_ORIENTATION, 4, 1, struct.pack("<I", 6))],
    "a byte": [(_ORIENTATION, 1, 1, b"\x06\0\0\0")],
    "text": [(_ORIENTATION, 2, 2, b"6\0\0\0")],
    "two numbers": [(_ORIENTATION, _SHORT, 2, struct.pack("<HH", 6, 6))],
    "no number": [(_ORIENTATION, _SHORT, 0, SIX)],
    "a float": [(_ORIENTATION, 11, 1, struct.pack("<f", 6.0))],
    "a negative number": [(_ORIENTATION, 8, 1, struct.pack("<hh", -6, 0))],
    "an unknown type": [(_ORIENTATION, 77, 1, SIX)],
    "6, then 1": [short(6), short(1)],
    "1, then 6": [short(1), short(6)],
    "after another tag": [(0x0110, _SHORT, 1, SIX), short(6)],
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("entries", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("offset", [8, 30])
def test_odd_orientations(name: str, entries: list[tuple[int, int, int, bytes]], offset: int) -> None:
    assert decoded(with_exif(name, exif_block(entries, offset))) is not None


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [6, 9])
@pytest.mark.parametrize("exif", [None, 1, 8])
def test_the_orientation_of_xmp_counts_where_exif_has_none(name: str, value: int, exif: int | None) -> None:
    text, own = f'<x tiff:Orientation="{value}"/>', Image.Exif()
    if exif:
        own[_ORIENTATION] = exif
    if name == "PNG":
        chunk = PngImagePlugin.PngInfo()
        chunk.add_itxt("XML:com.adobe.xmp", text)
        more: dict[str, Any] = {"pnginfo": chunk}
    elif name.startswith("TIFF"):
        own[_XMP_TAG] = text.encode()
        more = {}
    else:
        more = {"xmp": text.encode()}
    pixels = decoded(saved(name, **(more | ({"exif": own} if len(own) else {}))))
    assert pixels is not None
    if exif is None:
        assert pixels.shape[:2] == (SIZE[::-1] if value == 6 else SIZE)


@given(
    name=st.sampled_from(sorted(FORMATS)),
    changes=st.lists(st.tuples(st.integers(0, 45), st.integers(0, 255)), min_size=1, max_size=4),
    value=st.integers(0, 9),
)
@settings(max_examples=300, deadline=None)
def test_damaged_metadata_never_parts_header_and_pixels(name: str, changes: list[tuple[int, int]], value: int) -> None:
    block = exif_block([(0x010F, 2, 4, b"abc\0"), short(value), (0x0128, _SHORT, 1, SIX)])
    blob = bytearray(with_exif(name, block))
    start = len(blob) - 90 if name.startswith("TIFF") else bytes(blob).rfind(b"II*\0")
    for position, changed in changes:
        blob[start + position] = changed
    if name == "PNG":  # its own checksum is right
        at = blob.index(b"eXIf")
        end = at + 4 + int.from_bytes(blob[at - 4 : at], "big")
        blob[end : end + 4] = struct.pack(">I", zlib.crc32(blob[at:end]))
    decoded(bytes(blob))
