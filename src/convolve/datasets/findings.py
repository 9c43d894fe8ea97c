"""What the doctor found: values for programs; `warnings` are its sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from convolve.values import Indices


@dataclass(frozen=True)
class Unreadable:
    """An image that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Sizes:
    """Upright heights and widths in pixels, each as (smallest, median, largest); ``distinct`` counts the pairs."""

    height: tuple[int, int, int]
    width: tuple[int, int, int]
    distinct: int


@dataclass(frozen=True)
class Member:
    """One picture of a group: its name, its split (empty when in none) and its label or labels."""

    name: str
    split: str
    label: str


@dataclass(frozen=True)
class Group:
    """Pictures that are copies of each other; ``members`` names the first of ``count``, one of each split among them.

    ``leak``: they stand in several splits. ``conflict``: they carry different labels.
    """

    count: int
    leak: bool
    conflict: bool
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Copies:
    """All groups of one kind. ``spare``: how many pictures could go and leave one of each; ``shown`` is bounded, leaks
    and conflicts first.
    """

    groups: int
    spare: int
    leaks: int
    conflicts: int
    shown: tuple[Group, ...]


@dataclass(frozen=True)
class Findings:
    """A dataset's state of health, of its readable images unless it says otherwise.

    ``counts``: images per class, in the order of ``classes``, for `all` and each split. ``imbalance``: the largest
    class over the smallest that has any. ``channels``: 1 when every image is gray, else 3; ``mean`` and ``std`` as
    many, of values between 0 and 1, over the train split if there is one. ``missing``: the classes that a split lacks
    though others have them. ``blank`` counts images of one flat tone. ``fingerprint`` names the data. ``warnings``: a
    sentence each with its remedy, most important first. ``usable`` (U,) are the indices that could be read.
    ``pixels``: how many of each class the masks hold together; empty where there are none.
    """

    images: int
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    imbalance: float
    empty_classes: tuple[str, ...]
    single_classes: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]
    sizes: Sizes
    channels: int
    gray: int
    blank: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    unreadable: tuple[Unreadable, ...]
    exact: Copies
    near: Copies
    fingerprint: str
    warnings: tuple[str, ...]
    usable: Indices
    pixels: tuple[int, ...] = ()


def as_json(findings: Findings) -> dict[str, Any]:
    """The findings as JSON has them, under the fields' names; of ``usable`` only the number."""
    return {**asdict(findings), "usable": len(findings.usable)}
