"""What the doctor found: values for programs; `warnings` are its sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
class Duplicate:
    """One image of several that are the same: its name, its split (empty when in none) and its class or classes."""

    name: str
    split: str
    label: str


@dataclass(frozen=True)
class DuplicateGroup:
    """Images that are duplicates of each other; ``members`` has the first of ``count``, one of each split among them.

    ``leak``: they are in several splits. ``conflict``: they have different classes.
    """

    count: int
    leak: bool
    conflict: bool
    members: tuple[Duplicate, ...]


@dataclass(frozen=True)
class Duplicates:
    """All groups of duplicates of one kind. ``redundant``: how many images could go and leave one of each;
    ``examples`` is a limited number of the groups, leaks and conflicts first.
    """

    groups: int
    redundant: int
    leaks: int
    conflicts: int
    examples: tuple[DuplicateGroup, ...]


@dataclass(frozen=True)
class Findings:
    """A dataset's state of health, of its readable images unless it says otherwise.

    ``counts``: images per class, in the order of ``classes``, for `all` and each split. ``imbalance``: the largest
    class over the smallest that has any. ``channels``: 1 when every image is gray, else 3; ``mean`` and ``std`` as
    many, of values between 0 and 1, over the training split if there is one. ``missing``: the classes that a split
    lacks though others have them. ``blank`` counts images of a single color. ``fingerprint`` identifies the data.
    ``warnings``: a sentence each with its remedy, most important first. ``usable`` (U,) are the indices that could be
    read. ``totals``: further numbers for each class under a heading, such as the `pixels` of masks.
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
    exact: Duplicates
    near: Duplicates
    fingerprint: str
    warnings: tuple[str, ...]
    usable: Indices
    totals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def as_json(findings: Findings) -> dict[str, Any]:
    """The findings as JSON has them, under the fields' names; of ``usable`` only the number."""
    return {**asdict(findings), "usable": len(findings.usable)}
