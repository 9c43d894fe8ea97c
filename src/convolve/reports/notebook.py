"""A result as a notebook shows it: headlines, and the sections that have a part for notebooks, without any script."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from markupsafe import Markup

from convolve.errors import ImageError
from convolve.reports.assets import asset
from convolve.reports.page import render_part
from convolve.reports.report import Headline, Section
from convolve.reports.thumbnails import thumbnail
from convolve.values import Images

_SIDE = 96


def notebook_html(headlines: Sequence[Headline], sections: Sequence[Section]) -> str:
    """An HTML element for `_repr_html_`. Its styles reach nothing outside of it, and it fetches nothing."""
    html = render_part(
        ("convolve.reports", "notebook.html.j2"),
        headlines=headlines,
        parts=[(part.title, render_part(part.notebook, **part.context)) for part in sections if part.notebook],
        style=Markup(asset("notebook.css")),  # noqa: S704 - the package's own file
    )
    return str(html)


def images_html(images: Images, cells: Sequence[Mapping[str, str]], most: int = 24) -> str:
    """A table of the first images with their ``cells`` by heading, for `_repr_html_`; unreadable images are empty."""
    rows = []
    for index, entries in enumerate(cells[:most]):
        uri = ""
        with suppress(ImageError):
            uri = thumbnail(images.read(index, at_least=_SIDE), _SIDE)
        rows.append((uri, entries))
    rest = len(cells) - len(rows)
    return str(render_part(("convolve.reports", "notebook_images.html.j2"), rows=rows, rest=rest))


def png_files_html(paths: Sequence[Path], most: int = 24) -> str:
    """The first PNG files below each other, for `_repr_html_`."""
    uris = [f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in paths[:most]]
    return "".join(f'<p><img src="{uri}" style="max-width: 100%" alt=""></p>' for uri in uris)
