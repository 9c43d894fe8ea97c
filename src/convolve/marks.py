"""How images that convolve wrote are known: by a mark in them, so that they are never taken for data."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from convolve.untrusted.files import read_start

SOFTWARE = "convolve"
"""What a PNG's text chunk `Software` and a JPEG's comment say."""
OVERLAY = "_overlay.jpg"
"""How the name of an image with its predicted mask drawn over it ends: no other JPEG is looked into."""
_MARKS = (f"tEXtSoftware\0{SOFTWARE}".encode(), b"\xff\xfe\0" + bytes([2 + len(SOFTWARE)]) + SOFTWARE.encode())
_BEGINNING = 128  # bytes within which both are


def save_png(image: Image.Image, path: Path, compress_level: int = 6, *, optimize: bool = False) -> None:
    """Write a marked PNG file."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SOFTWARE)
    image.save(path, "PNG", pnginfo=text, compress_level=compress_level, optimize=optimize)


def save_jpeg(image: Image.Image, path: Path, quality: int) -> None:
    """Write a marked JPEG file with its colors at full resolution."""
    image.save(path, "JPEG", quality=quality, subsampling=0, comment=SOFTWARE.encode())


def has_mark(path: str) -> bool:
    """Whether convolve wrote an image file."""
    try:
        beginning = read_start(path, _BEGINNING)
    except OSError:
        return False
    return any(mark in beginning for mark in _MARKS)
