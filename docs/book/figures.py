"""Draw the book's figures into docs/book/images: ``python docs/book/figures.py [NAME ...]``; `make docs` draws those
that are older than the code.

Every ``figures_*.py`` in this folder has ``FIGURES``: by file name, a function without parameters that returns a
figure. ``.svg`` is for drawings, whose colors (those of `convolve.reports.colors`) follow the page; ``.png`` for
photographs. Functions run in the style of `convolve.reports.drawing` and draw the same figure every time. Both
languages show the same figure, so it has numbers and symbols and hardly any words.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from matplotlib.figure import Figure

import convolve
from convolve.reports.drawing import as_png, as_svg, style

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
PACKAGE = Path(convolve.__file__).parent


def figures() -> dict[str, Callable[[], Figure]]:
    """The function of every figure by file name. Raises `ValueError` when two have the same name."""
    found: dict[str, Callable[[], Figure]] = {}
    for path in sorted(HERE.glob("figures_*.py")):
        some = importlib.import_module(path.stem).FIGURES
        if twice := found.keys() & some.keys():
            raise ValueError(f"{path.name} draws {', '.join(twice)} again; give it another name.")
        found |= some
    return found


def render(name: str, draw: Callable[[], Figure]) -> bytes:
    """The content of a figure's file."""
    with style():
        figure = draw()
    if name.endswith(".svg"):
        return as_svg(figure, name.removesuffix(".svg")).encode()
    return as_png(figure, dpi=144)


def write(names: Collection[str] = ()) -> None:
    """Write the named figures, or all that are older than any code, several at a time."""
    IMAGES.mkdir(exist_ok=True)
    code = max(path.stat().st_mtime for folder in (HERE, PACKAGE) for path in folder.rglob("*.py"))
    with ProcessPoolExecutor() as workers:
        list(workers.map(_write, names or [name for name in figures() if _time_written(name) < code]))


def _time_written(name: str) -> float:
    path = IMAGES / name
    return path.stat().st_mtime if path.exists() else 0


def _write(name: str) -> None:
    (IMAGES / name).write_bytes(render(name, figures()[name]))


if __name__ == "__main__":
    write(sys.argv[1:])
