"""An image of a case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.datasets.mutations.pixels import encoded, encoded_pages, suffix_of

DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    "cut short": lambda content: content[: len(content) // 3],
    "without its end": lambda content: content[:-2],
    "empty": lambda _: b"",
    "a page": lambda _: b"<!DOCTYPE html><html><title>404 Not Found</title></html>",
}
"""What is left of a file, by a word for it."""


@dataclass
class Sample:
    """An image, where its file is, and what is true of it.

    ``listed`` is what annotations call it, where that is not ``path``; an image in an array has no path. ``foreign``
    ones need not be announced when they are left out. ``damage`` is a word of `DAMAGES`; a ``turned`` file lies on its
    side and says so, and its content is of the format of ``suffix``, where that is not the name's. A ``paged`` one is
    the first of two pages.
    """

    number: int
    path: str = ""
    classes: frozenset[str] = frozenset()
    split: str | None = None
    mask_path: str = ""
    listed: str = ""
    suffix: str = ""
    exists: bool = True
    damage: str = ""
    turned: bool = False
    paged: bool = False
    annotated: bool = True
    foreign: bool = False
    masked: bool = True
    mask_damaged: bool = False

    @property
    def damaged(self) -> bool:
        """Whether the file cannot be read."""
        return bool(self.damage)

    def render(self) -> bytes:
        """The file's bytes."""
        content = encoded(self.number, self.suffix or suffix_of(self.path), self.turned)
        if self.paged:
            content = encoded_pages(self.number)
        return DAMAGES[self.damage](content)

    @property
    def name(self) -> str:
        """By which annotations know it."""
        return self.listed or self.path
