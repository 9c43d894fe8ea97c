"""What a library says of one of its networks."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TITLED = re.compile(r"`\"?([^`<\"]+?)\"?\s*<(https?://[^>\s]+)>`")
_ARXIV = re.compile(r"arxiv\.org/\w+/(\d\d)\d\d\.\d+")


@dataclass(frozen=True)
class Paper:
    """A paper's title, address and year."""

    title: str
    address: str
    year: int


@dataclass(frozen=True)
class About:
    """``input`` is (channels, height, width) and ``classes`` the number of scores with the library's own weights;
    ``top1_error`` and ``top5_error`` are per cent on ILSVRC-2012 validation, and ``evaluation`` says of which weights.
    """

    paper: Paper
    library: str
    input: tuple[int, int, int]
    classes: int
    top1_error: float | None = None
    top5_error: float | None = None
    evaluation: str = ""


def paper_of(description: str | None) -> Paper | None:
    """The first paper that a docstring names as `` `Title <https://arxiv.org/…>` ``; its number tells the year."""
    for title, address in _TITLED.findall(description or ""):
        dated = _ARXIV.search(address)
        if dated:
            return Paper(" ".join(title.split()), address, 2000 + int(dated[1]))
    return None
