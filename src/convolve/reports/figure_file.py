"""A figure that a person asked for, in a file that stands alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from convolve.errors import OptionError
from convolve.files import check_replaceable, link_target, write_bytes
from convolve.marks import is_drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_figure(path: Path | None) -> None:
    """Raises `OptionError` for a file that is neither .svg nor .png, `DataError` where another file would be lost."""
    if path and path.suffix not in (".svg", ".png"):
        raise OptionError(f"{path} is neither .svg nor .png; name the figure so.")
    if path:
        check_replaceable(path, is_drawing, "figure that convolve wrote")


def write_figure(path: Path, figure: Figure, name: str) -> None:
    """Write a figure as its file's ending says; an SVG with plain colors, which every program for slides knows."""
    from convolve.reports.drawing import as_png, as_svg

    svg = re.sub(r"var\(--\w+, (#\w+)\)", r"\1", as_svg(figure, name)) if path.suffix == ".svg" else None
    write_bytes(link_target(path), svg.encode() if svg else as_png(figure))
