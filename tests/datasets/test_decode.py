"""Decoding against Pillow's own conversions, OpenCV's decoder and arithmetic done here."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from convolve.datasets.images import EncodedFile, to_channels
from convolve.errors import ImageError
from convolve.untrusted.images import MAX_PIXELS
from convolve.values import Header, Pixels

NEAR = 3  # levels that two decoders of JPEG may differ by


def decode(blob: bytes, name: str, at_least: int = 0) -> Pixels:
    return EncodedFile(blob, name).decode(at_least)


def picture(height: int = 24, width: int = 40) -> Image.Image:
    """Smooth colors that differ in every corner."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [255 * columns / width, 255 * rows / height, 120 + 0 * rows]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_pictures_stand_upright(kind: str, options: dict[str, object], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    blob = saved(picture(), kind, exif=exif, **options)
    wanted = picture() if kind != "JPEG" else Image.open(io.BytesIO(saved(picture(), kind, **options)))
    wanted.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(decode(blob, "a"), np.asarray(ImageOps.exif_transpose(wanted)))


def test_color_of_plain_jpeg_is_what_opencv_sees() -> None:
    blob = saved(picture(64, 48), "JPEG", quality=90)
    wanted = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decode(blob, "a").astype(int) - wanted).max() <= NEAR


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_gray_stays_one_channel(kind: str) -> None:
    gray = picture().convert("L")
    pixels = decode(saved(gray, kind), "a")
    assert pixels.shape == (24, 40, 1)
    assert np.abs(pixels[:, :, 0].astype(int) - np.asarray(gray)).max() <= (NEAR if kind == "JPEG" else 0)


def test_bilevel_is_black_and_white() -> None:
    assert set(np.unique(decode(saved(picture().convert("1"), "PNG"), "a"))) == {0, 255}


def test_cmyk_jpeg_of_adobe_is_not_inverted() -> None:
    blob = saved(picture().convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in blob
    pixels = decode(blob, "a").astype(int)
    assert np.abs(pixels - cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_COLOR_RGB)).max() <= 2 * NEAR
    assert np.abs(pixels - np.asarray(picture())).mean() < 4


def test_cmyk_jpeg_without_adobe_marker_is_read_as_browsers_and_opencv_do() -> None:
    blob = saved(picture().convert("CMYK"), "JPEG", quality=95)
    start = blob.index(b"\xff\xee")
    plain = blob[:start] + blob[start + 2 + int.from_bytes(blob[start + 2 : start + 4], "big") :]
    wanted = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(decode(plain, "a").astype(int) - wanted).max() <= 2 * NEAR


def test_cmyk_tiff() -> None:
    assert np.abs(decode(saved(picture().convert("CMYK"), "TIFF"), "a").astype(int) - np.asarray(picture())).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_lies_over_white(kind: str) -> None:
    image = picture()
    alpha = np.linspace(0, 255, 40).astype(np.uint8)[None, :].repeat(24, 0)
    image.putalpha(Image.fromarray(alpha))
    pixels = decode(saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})), "a")
    share = alpha[:, :, None] / 255
    wanted = np.asarray(picture()) * share + 255 * (1 - share)
    assert np.abs(pixels - wanted).max() <= 1


def test_transparent_gray_stays_gray() -> None:
    image = Image.merge("LA", (Image.new("L", (2, 1), 100), Image.fromarray(np.array([[0, 255]], np.uint8))))
    assert decode(saved(image, "PNG"), "a").tolist() == [[[255], [100]]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_entry(kind: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    pixels = decode(saved(image, kind, transparency=1), "a")
    assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]]


def test_png_with_a_transparent_color() -> None:
    pixels = decode(saved(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG", transparency=(9, 8, 7)), "a")
    assert pixels.tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize(("kind", "dtype"), [("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.int32)])
def test_sixteen_bits_become_eight(kind: str, dtype: type[np.generic]) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=dtype)
    wanted = [[[round(int(value) * 255 / 65535)] for value in values[0]]]
    assert decode(saved(Image.fromarray(values), kind), "a").tolist() == wanted


def test_sixteen_bit_color_png_written_by_opencv() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 4, 3), dtype=np.uint16)
    blob = cv2.imencode(".png", values)[1].tobytes()
    assert np.abs(decode(blob, "a")[:, :, ::-1].astype(int) - values / 257).max() <= 1


@pytest.mark.parametrize("values", [np.array([[0.5]], np.float32), np.array([[70000]], np.int32)])
def test_deeper_than_sixteen_bits_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ImageError, match=r"deep\.tif has 32 bits a channel; save it with 8 or 16\."):
        decode(saved(Image.fromarray(values), "TIFF"), "deep.tif")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options), "a")
    assert (pixels == [255, 0, 0]).all()


def test_multi_picture_jpeg_of_phones() -> None:
    blob = saved(picture(), "MPO", save_all=True, append_images=[picture()])
    assert decode(blob, "a").shape == (24, 40, 3)


@pytest.mark.parametrize(
    ("at_least", "side"), [(0, 200), (201, 200), (200, 200), (101, 200), (100, 100), (26, 50), (25, 25), (1, 25)]
)
def test_jpeg_comes_reduced_but_never_below(at_least: int, side: int) -> None:
    pixels = decode(saved(picture(200, 300), "JPEG"), "a", at_least)
    assert pixels.shape == (side, side * 3 // 2 + side * 3 % 2, 3)


def test_reduced_jpeg_is_the_same_picture() -> None:
    image = picture(200, 320)
    pixels = decode(saved(image, "JPEG", quality=95), "a", 100)
    assert np.abs(pixels.astype(int) - np.asarray(image.reduce(2))).max() <= 4


CUT: list[tuple[str, dict[str, object]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("WEBP", {}),
    ("PPM", {}),
]
CUT += [("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg"}), ("AVIF", {})]


@pytest.mark.parametrize(("kind", "options"), CUT)
def test_a_file_cut_short_is_never_half_a_picture(kind: str, options: dict[str, object]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    blob = saved(Image.fromarray(noise), kind, **options)
    whole = decode(blob, "a")
    failed = 0
    for length in np.linspace(1, len(blob) - 1, 40).astype(int):
        try:
            np.testing.assert_array_equal(decode(blob[:length], "cut"), whole)
        except ImageError:
            failed += 1
    assert failed >= 30


def test_zeros_in_place_of_the_rest_are_noticed() -> None:
    thumbnail = saved(picture(), "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 1
    blob = saved(picture(200, 200), "JPEG", exif=b"Exif\0\0" + exif.tobytes()[6:] + thumbnail)
    assert decode(blob + bytes(1000), "a").shape == (200, 200, 3)
    with pytest.raises(ImageError, match="its end marker is missing"):
        decode(blob[: 3 * len(blob) // 4] + bytes(5000), "half.jpg")


@pytest.mark.parametrize(
    "blob", [b"GIF89a", b"<html>404</html>", b"\0\0\0\x18ftypheic" + bytes(64), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
)
def test_what_is_no_picture(blob: bytes) -> None:
    with pytest.raises(ImageError, match=r"^b\.jpg .*;.*\.$"):
        decode(blob, "b.jpg")


def test_empty_file() -> None:
    with pytest.raises(ImageError, match=r"b\.jpg is empty"):
        decode(b"", "b.jpg")


@pytest.mark.parametrize("side", [9_500, 20_000])
def test_bombs_are_refused_without_being_unpacked(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    blob = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        blob += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    assert side * side > MAX_PIXELS
    with pytest.raises(ImageError, match=r"bomb\.png has more than 89 million pixels; make it smaller\."):
        decode(blob, "bomb.png")


def test_damaged_metadata_costs_no_picture_and_no_warning() -> None:
    blob = saved(picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(blob, "a").shape == (24, 40, 3)


def test_threads_see_the_same_and_leave_the_filters_alone() -> None:
    blobs = [saved(picture(30 + index, 40), "JPEG") for index in range(8)] * 10
    before = list(warnings.filters)
    wanted = [decode(blob, "a") for blob in blobs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda blob: decode(blob, "a"), blobs))
    assert all(np.array_equal(one, other) for one, other in zip(wanted, found, strict=True))
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("mode", "kind", "gray"),
    [("L", "JPEG", True), ("1", "PNG", True), ("LA", "PNG", True), ("I;16", "PNG", True), ("RGB", "JPEG", False),
     ("P", "PNG", False), ("CMYK", "JPEG", False), ("RGBA", "WEBP", False)],
)  # fmt: skip
def test_headers_tell_the_size_and_whether_there_may_be_color(mode: str, kind: str, gray: bool) -> None:
    blob = saved(picture().convert("L").convert(mode) if mode == "I;16" else picture().convert(mode), kind)
    assert EncodedFile(blob, "a").header == Header((24, 40), gray)
    assert not gray or decode(blob, "a").shape[2] == 1


def test_headers_tell_the_upright_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    assert EncodedFile(saved(picture(), "JPEG", exif=exif), "a").header == Header((40, 24), gray=False, orientation=8)


@pytest.mark.parametrize("kind", ["eXIf", "iTXt"])
def test_the_orientation_of_a_png_may_come_after_its_pixels(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    blob = saved(picture(), "PNG", **({"exif": exif} if kind == "eXIf" else {"pnginfo": text}))
    start = blob.index(kind.encode()) - 4
    end = start + 12 + int.from_bytes(blob[start : start + 4], "big")
    last = blob.index(b"IEND") - 4
    blob = blob[:start] + blob[end:last] + blob[start:end] + blob[last:]
    assert EncodedFile(blob, "a").header == Header((40, 24), gray=False, orientation=6)
    assert decode(blob, "a").shape == (40, 24, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_headers_are_read_without_decoding(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Image.Image] = []
    file_class = type(Image.open(io.BytesIO(saved(picture(), kind))))

    def load(image: Image.Image) -> None:
        loads.append(image)

    monkeypatch.setattr(file_class, "load", load)
    assert EncodedFile(saved(picture(), kind), "a").header.size == (24, 40)
    assert not loads


def test_channels() -> None:
    color, gray = np.asarray(picture()), np.asarray(picture().convert("L"))[:, :, None]
    assert to_channels(color, 3) is color
    np.testing.assert_array_equal(to_channels(gray, 3), np.concatenate([gray] * 3, axis=2))
    assert to_channels(color, 1).shape == gray.shape
    assert np.abs(to_channels(color, 1).astype(int) - gray).max() <= 1
