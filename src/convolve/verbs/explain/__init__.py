"""`convolve explain`: what a run's network looks at in images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convolve.command import Command
from convolve.progress import Listener
from convolve.verbs.explain.options import Explain
from convolve.verbs.explain.results import Explanation, legend

if TYPE_CHECKING:
    from rich.console import RenderableType


def run(options: Explain, listener: Listener) -> Explanation:
    """Explain every image. Raises `RunError`, `OptionError`, and `DataError` when no image is found or can be read."""
    from convolve.verbs.explain.work import explained

    return explained(options, listener)


def shown(result: Explanation) -> Iterator[RenderableType]:
    """The images, the methods where they were measured, what to beware of, and where everything stands."""
    from rich.text import Text

    yield _images_table(result)
    for one in result.images:
        if one.error:
            yield Text(f"left out: {one.error}", style="yellow")
    if any(method.similarity is not None or method.milliseconds or method.boxed for method in result.methods):
        yield _methods_table(result)
        for sentence in legend(result.methods):
            yield Text(sentence, style="dim")
    for method in result.methods:
        if method.known:
            yield Text(f"beware of {method.method}: {method.known}", style="yellow")
        if method.sane is False:
            yield Text(
                f"{method.method} fails the sanity check here: its maps survive a network that has learned nothing",
                style="yellow",
            )
    for name, files in result.views.items():
        yield Text(f"{name}  {', '.join(place for place in files if place.endswith('.png'))}")
    yield Text(f"pictures  {result.out}")
    yield Text(f"arrays    {result.arrays}")
    yield Text(f"page      {result.page}")


def _images_table(result: Explanation) -> RenderableType:
    from rich.table import Column, Table
    from rich.text import Text

    known = any(one.truth for one in result.images)
    headings = ["image", *(["true"] if known else []), "label", "confidence", "explained"]
    table = Table(*(Column(name, overflow="fold") for name in headings), box=None, header_style="bold")
    for one in result.images:
        if not one.error:
            scores = ", ".join(f"{name} {score:.1%}" for name, score in one.classes.items())
            cells = (one.image, *([one.truth] if known else []), one.label, f"{one.confidence:.1%}", scores)
            table.add_row(*map(Text, cells))
    return table


def _methods_table(result: Explanation) -> RenderableType:
    from rich.table import Table

    columns = {
        "ms/image": "milliseconds",
        "deletion": "deletion",
        "insertion": "insertion",
        "found": "localization",
        "IoU": "overlap",
        "pointing": "pointing",
        "fresh top": "top",
        "fresh": "similarity",
    }
    columns = {
        name: key for name, key in columns.items() if any(getattr(one, key) is not None for one in result.methods)
    }
    table = Table("method", box=None, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right")
    for one in result.methods:
        table.add_row(one.method, *(_figure(key, getattr(one, key)) for key in columns.values()))
    return table


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key == "milliseconds":
        return f"{value:.1f}"
    return f"{value:.1%}" if key in ("localization", "pointing") else f"{value:.3f}"


COMMAND = Command(Explain, run, shown)
