"""How files that convolve wrote are known: by a mark in them. Its images are never taken for data, and no other file is
overwritten.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from PIL import Image, PngImagePlugin

from convolve.untrusted.files import open_file, read_start

SOFTWARE = "convolve"
"""What a PNG's text chunk `Software` and a JPEG's comment say."""
OVERLAY = "_overlay.jpg"
"""How the name of an image with its predicted mask drawn over it ends: no other JPEG is looked into."""
_MARKS = (f"tEXtSoftware\0{SOFTWARE}".encode(), b"\xff\xfe\0" + bytes([2 + len(SOFTWARE)]) + SOFTWARE.encode())
_END = (8 + len(SOFTWARE)).to_bytes(4, "big") + b"free" + SOFTWARE.encode()
_BEGINNING = 128  # bytes within which both are
_POLICY = b"default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
"""How the content security policy of each page begins."""
_DRAWING = re.compile(rb'\A<svg .*<g id="\w+-figure_1">', re.DOTALL)
"""How an SVG file begins: without what stands before the figure elsewhere, and with a name before its identifiers."""
_HEAD = 4096  # bytes within which both are


def save_png(image: Image.Image, path: Path, compress_level: int = 6, *, optimize: bool = False) -> None:
    """Write a marked PNG file."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", SOFTWARE)
    image.save(path, "PNG", pnginfo=text, compress_level=compress_level, optimize=optimize)


def save_jpeg(image: Image.Image, path: Path, quality: int) -> None:
    """Write a marked JPEG file with its colors at full resolution."""
    image.save(path, "JPEG", quality=quality, subsampling=0, comment=SOFTWARE.encode())


def has_mark(path: str | Path) -> bool:
    """Whether convolve wrote an image file."""
    try:
        beginning = read_start(path, _BEGINNING)
    except OSError:
        return False
    return any(mark in beginning for mark in _MARKS)


def is_page(path: Path) -> bool:
    """Whether convolve wrote an HTML file. Raises `OSError`."""
    return _POLICY in read_start(path, _HEAD)


def is_drawing(path: Path) -> bool:
    """Whether convolve wrote a PNG or SVG file. Raises `OSError`."""
    return has_mark(path) or _DRAWING.search(read_start(path, _HEAD)) is not None


def write_end_mark(path: Path) -> None:
    """Mark an MP4 file by a last box of type `free`, which players pass over."""
    with path.open("ab") as file:
        file.write(_END)


def has_end_mark(path: Path) -> bool:
    """Whether convolve wrote an MP4 file. Raises `OSError`."""
    with open_file(path) as file:
        return path.stat().st_size > len(_END) and file.seek(-len(_END), os.SEEK_END) >= 0 and file.read() == _END
