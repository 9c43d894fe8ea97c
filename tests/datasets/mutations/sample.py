"""An image of a case."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Sample:
    """An image, where its file is, and what is true of it.

    ``listed`` is what annotations call it, where that is not ``path``; an image in an array has no path. ``foreign``
    ones need not be announced when they are left out.
    """

    number: int
    path: str = ""
    classes: frozenset[str] = frozenset()
    split: str | None = None
    mask_path: str = ""
    listed: str = ""
    exists: bool = True
    damaged: bool = False
    annotated: bool = True
    foreign: bool = False
    masked: bool = True
    mask_damaged: bool = False

    @property
    def name(self) -> str:
        """By which annotations know it."""
        return self.listed or self.path
