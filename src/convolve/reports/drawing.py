"""The look of every figure, and how one is written: SVG for pages, PNG for files; without pyplot."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, NullFormatter

from convolve.fonts import figure_families
from convolve.marks import SOFTWARE
from convolve.reports.colors import INK, LINE, MUTED, PAPER, use_css_variables

_LOOK: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "convolve",
}
_drawing = threading.RLock()
UNTRANSLATED = "name"
"""The `gid` of a text that is the same in every language, such as the name of a class."""


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure, for the duration of a block.

    matplotlib's settings are global, so one thread draws at a time, and the previous settings are restored.
    """
    with _drawing, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK | {"font.family": list(figure_families())})
        yield


def use_log_scale(axes: Axes, name: Literal["x", "y"], formatter: Formatter | None = None) -> None:
    """Make an axis logarithmic, with plain numbers, or those of a formatter, at its major ticks and none at the others.

    matplotlib's own labels are powers of ten in mathematical text, which figures of this look do not read.
    """
    set_scale, axis = (axes.set_xscale, axes.xaxis) if name == "x" else (axes.set_yscale, axes.yaxis)
    set_scale("log")
    axis.set_major_formatter(formatter or FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element without background, its colors following the page's CSS variables.

    ``name`` is a prefix that keeps its identifiers apart from those of other figures on the page. The same figure gives
    the same text.
    """
    written = io.StringIO()
    with style():
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", written.getvalue(), flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg))
    svg = svg.replace(f'<g id="{UNTRANSLATED}"', '<g translate="no"')
    svg = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return use_css_variables(svg[svg.index("<svg") :])


def as_png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as a PNG file on white, ``dpi`` pixels to the inch."""
    written = io.BytesIO()
    with style():
        figure.savefig(written, format="png", dpi=dpi, metadata={"Software": SOFTWARE})
    return written.getvalue()
