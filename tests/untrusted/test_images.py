"""Opening images of unknown origin."""

from __future__ import annotations

import io
import os
import struct
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, UnidentifiedImageError

from convolve.datasets.images import EncodedFile, ImageFiles
from convolve.datasets.layouts import open_dataset
from convolve.datasets.stored_masks import read_stored
from convolve.datasets.survey import survey
from convolve.errors import DataError, ImageError
from convolve.untrusted.images import FORMATS, check_cost, check_jpeg_cost, open_image, silent_decoders

POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 16 12
%%EndComments
showpage
%%EOF
"""


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, kind: int) -> bytes:
    """A whole PNG of that size, all zeros, packed as tightly as possible."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    channels = {0: 1, 2: 3, 6: 4}[kind]
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * channels * depth + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def ghostscript(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was given to Ghostscript, as though it were installed."""
    started: list[str] = []

    def start(*_arguments: object, **_options: object) -> object:
        started.append("gs")
        return Image.new("L", (16, 12)).im

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
    return started


def test_postscript_in_a_masks_file_is_not_run(tmp_path: Path, ghostscript: list[str]) -> None:
    (tmp_path / "0.png").write_bytes(POSTSCRIPT)
    with Image.open(tmp_path / "0.png") as image:  # what would happen without the list of formats
        image.load()
    assert ghostscript == ["gs"]
    with pytest.raises(ImageError, match=r"0\.png cannot be read as a mask \(no known format\)"):
        read_stored(tmp_path / "0.png")
    with pytest.raises(ImageError, match="not an image in a supported format"):
        EncodedFile(POSTSCRIPT, "0.png").decode()
    with pytest.raises(UnidentifiedImageError), open_image(POSTSCRIPT):
        pass
    assert ghostscript == ["gs"]
    assert "EPS" not in FORMATS


@pytest.mark.parametrize("name", ["train-volume.tif", "train-labels.tif"])
def test_postscript_in_a_stack_is_not_run(tmp_path: Path, ghostscript: list[str], name: str) -> None:
    page = Image.new("L", (16, 12))
    for each in ("train-volume.tif", "train-labels.tif"):
        page.save(tmp_path / each, save_all=True, append_images=[page])
    (tmp_path / name).write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=f"{name} cannot be read as TIFF"):
        open_dataset(tmp_path)
    assert not ghostscript


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda: encoded(Image.new("RGBA", (9000, 9000)), "WEBP", lossless=True, quality=0, method=0), "81 million"),
        (lambda: png(9000, 9000, 16, 6), "81 million"),
        (lambda: encoded(Image.new("P", (9000, 9000)), "GIF"), "81 million"),
        (lambda: png(20_000, 20_000, 1, 0), "more than 89 million"),
    ],
)
def test_few_bytes_do_not_become_many_pixels(content: object, what: str) -> None:
    blob = content()  # type: ignore[operator]
    started = time.process_time()
    for read in (lambda: EncodedFile(blob, "a").decode(), lambda: _mask(blob)):
        with pytest.raises(ImageError, match=f"{what}.*; make it smaller"):
            read()
    assert time.process_time() - started < 1


def _mask(blob: bytes) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        Path(folder, "a.png").write_bytes(blob)
        read_stored(Path(folder, "a.png"))


@pytest.mark.parametrize(("mode", "side"), [("1", 7000), ("L", 7000), ("RGB", 4000)])
def test_a_large_image_of_one_color_is_read(mode: str, side: int) -> None:
    """As an empty mask is."""
    assert EncodedFile(encoded(Image.new(mode, (side, side)), "PNG", compress_level=9), "a").decode().shape[0] == side


def test_a_photograph_of_24_million_pixels_is_read_in_every_format() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8)
    photograph = Image.fromarray(noise).resize((6000, 4000), Image.Resampling.BILINEAR)
    for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {"method": 0}), ("TIFF", {})):
        assert EncodedFile(encoded(photograph, kind, **options), kind).decode().shape == (4000, 6000, 3)


def test_a_jpeg_of_many_scans_is_refused_at_once() -> None:
    """Its decoder cannot be interrupted."""
    blob = encoded(Image.new("RGB", (2000, 2000), (10, 200, 30)), "JPEG", progressive=True)
    last = blob[blob.rfind(b"\xff\xda") : -2]
    with pytest.raises(ImageError, match="a stores 4 million pixels in 1,010 scans; make it smaller"):
        EncodedFile(blob[:-2] + 1000 * last + blob[-2:], "a").decode()
    check_jpeg_cost(blob[:-2] + 10 * last + blob[-2:], 2000 * 2000)


def test_a_stack_of_many_pages_is_refused_unread(tmp_path: Path) -> None:
    page = Image.new("L", (4000, 4000))
    for name in ("train-volume.tif", "train-labels.tif"):
        page.save(tmp_path / name, save_all=True, append_images=[page] * 19, compression="tiff_adobe_deflate")
    with pytest.raises(DataError, match=r"train-volume\.tif announces 320 million pixels in .* make its pages smaller"):
        open_dataset(tmp_path)


def test_pages_vouch_for_one_another() -> None:
    blob = encoded(Image.new("L", (1000, 1000)), "PNG")
    with open_image(blob) as image:
        check_cost(image, len(blob), 50)
        with pytest.raises(ValueError, match="announces 60 million pixels"):
            check_cost(image, len(blob), 60)


def test_images_that_are_no_files_are_named(tmp_path: Path) -> None:
    """They neither hang nor fill the memory."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(20 * 2**30)
    names = []
    for number in range(30):
        names.append(f"{number}.png")
        Image.new("L", (8, 8), number).save(tmp_path / names[-1])
    findings = survey(ImageFiles(tmp_path, ("pipe.jpg", "zero.png", "sparse.jpg", *names)))
    assert findings.failed == {
        0: "pipe.jpg cannot be opened (it is a pipe, not a file); restore it or leave it out.",
        1: "zero.png cannot be opened (it is a device, not a file); restore it or leave it out.",
        2: "sparse.jpg cannot be opened (it holds 21,474,836,480 bytes, more than the 268,435,456 that are read); "
        "restore it or leave it out.",
    }


def test_warnings_are_silent_inside_and_restored_after() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with silent_decoders(), silent_decoders():
            warnings.warn_explicit("inside", UserWarning, "a.py", 1, module="PIL.Image")
        warnings.warn_explicit("outside", UserWarning, "a.py", 1, module="PIL.Image")
    assert [str(each.message) for each in seen] == ["outside"]


def _with_scans(blob: bytes, times: int) -> bytes:
    """A progressive JPEG with its last scan again and again."""
    last = blob[blob.rfind(b"\xff\xda") : -2]
    return blob[:-2] + times * last + blob[-2:]


@pytest.mark.parametrize("mode", ["CMYK", "RGB"])
def test_scans_are_limited_whoever_decodes_them(mode: str) -> None:
    """Pillow decodes CMYK, and a JPEG that says that further images follow."""
    blob = _with_scans(encoded(Image.new(mode, (2000, 2000)), "JPEG", progressive=True), 1000)
    segment = b"MPF\0" + bytes(20)
    further = blob[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + blob[2:]
    for content in (blob, further):
        with pytest.raises(ImageError, match=r"million pixels in 1,0\d\d scans"):
            EncodedFile(content, "a").decode()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"P3\n9 9\n255\n" + b"1 " * 242 + b"#\n" * 100_000 + b"1\n", "100,000 comments between its numbers"),
        (b"P6\n#" + b"a" * 10**6 + b"\n8 8\n255\n" + bytes(192), "not an image in a supported format"),
    ],
)
def test_a_ppm_is_no_book_of_comments(content: bytes, what: str) -> None:
    for read in (lambda: EncodedFile(content, "a").header, lambda: EncodedFile(content, "a").decode()):
        started = time.process_time()
        with pytest.raises(ImageError, match=what):
            read()
        assert time.process_time() - started < 1


@pytest.mark.parametrize("kind", ["P1", "P2", "P3", "P4", "P5", "P6"])
def test_a_ppm_with_comments_is_read(kind: str) -> None:
    size = b"%s\n# made by hand\n3 2\n" % kind.encode()
    most = b"" if kind in ("P1", "P4") else b"# as many grays\n255\n"
    pixels = b"1 0 1\n0 1 0\n" if kind in ("P1", "P2") else b"1 0 1 " * 6 if kind == "P3" else bytes(18)
    assert EncodedFile(size + most + pixels, "a").decode().shape[:2] == (2, 3)


def test_the_tile_of_a_tiff_is_no_larger_than_its_image() -> None:
    """Its decoder makes room for a whole one."""
    tile = zlib.compress(bytes(16 * 16))
    sizes = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 26_000, 323: 26_000, 324: 182, 325: len(tile)}
    tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sizes.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(sizes)) + tags + bytes(4)
    with pytest.raises(ImageError, match="more than 89 million pixels"):
        EncodedFile(header.ljust(182, b"\0") + tile, "a").decode()


def test_the_image_in_a_dicom_file_has_the_size_that_it_gives() -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.encaps import encapsulate

    from tests.datasets.test_dicom import encoded as encode_dicom

    def with_frame(frame: bytes) -> bytes:
        document = pydicom.dcmread(io.BytesIO(encode_dicom(np.zeros((40, 40), np.uint8))))
        document.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
        document.PixelData = encapsulate([frame])
        document["PixelData"].is_undefined_length = True
        stream = io.BytesIO()
        document.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    good = with_frame(encoded(Image.new("L", (40, 40), 200), "JPEG"))
    assert EncodedFile(good, "a.dcm").decode().shape == (40, 40, 1)
    with pytest.raises(ImageError, match=r"another size than it gives \(40x40\)"):
        EncodedFile(with_frame(encoded(Image.new("L", (4000, 4000)), "JPEG")), "a.dcm").decode()
