"""Small images inside a page itself."""

from __future__ import annotations

import base64
import io

from PIL import Image

from convolve.values import Pixels

_TINY = 64


def thumbnail(pixels: Pixels, side: int = 96) -> str:
    """(H, W, 1 or 3) uint8 to a data URI, its longer side at most ``side`` pixels.

    What is no larger than 64 pixels stays as it is, as PNG, and a page may enlarge it in squares; the rest is JPEG.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    tiny = max(image.size) <= min(side, _TINY)
    image.thumbnail((side, side), Image.Resampling.BOX if tiny else Image.Resampling.LANCZOS)
    written = io.BytesIO()
    if tiny:
        image.save(written, "PNG", optimize=True)
    else:
        image.save(written, "JPEG", quality=82, optimize=True)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode('ascii')}"
