"""Draw the book's pictures into docs/book/images: ``python docs/book/pictures.py [NAME ...]``; `make docs` draws
what is older than the code.

Every ``pictures_*.py`` beside this file has ``PICTURES``: by the picture's file name, a function without parameters
that returns the figure. ``.svg`` is for drawings, whose colors (those of `convolve.reports.colors`) follow the page;
``.png`` for photographs. Functions run within the house's look and draw the same picture every time. As both languages
show the same picture, it bears numbers and symbols, and hardly a word.
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


def pictures() -> dict[str, Callable[[], Figure]]:
    """Every picture by its file name. Raises `ValueError` when two have the same."""
    found: dict[str, Callable[[], Figure]] = {}
    for path in sorted(HERE.glob("pictures_*.py")):
        some = importlib.import_module(path.stem).PICTURES
        if twice := found.keys() & some.keys():
            raise ValueError(f"{path.name} draws {', '.join(twice)} once more; give it another name.")
        found |= some
    return found


def drawn(name: str, picture: Callable[[], Figure]) -> bytes:
    """The file of a picture."""
    with style():
        figure = picture()
    if name.endswith(".svg"):
        return as_svg(figure, name.removesuffix(".svg")).encode()
    return as_png(figure, dpi=144)


def write(names: Collection[str] = ()) -> None:
    """Write the pictures named, or else all that are older than any code, several at a time."""
    IMAGES.mkdir(exist_ok=True)
    code = max(path.stat().st_mtime for folder in (HERE, PACKAGE) for path in folder.rglob("*.py"))
    with ProcessPoolExecutor() as workers:
        list(workers.map(_write, names or [name for name in pictures() if _written(name) < code]))


def _written(name: str) -> float:
    path = IMAGES / name
    return path.stat().st_mtime if path.exists() else 0


def _write(name: str) -> None:
    (IMAGES / name).write_bytes(drawn(name, pictures()[name]))


if __name__ == "__main__":
    write(sys.argv[1:])
