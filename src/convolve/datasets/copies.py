"""Which pictures of a dataset are there several times, and what that spoils: splits that leak, labels that disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from convolve.datasets.duplicates import exact_groups, near_groups
from convolve.datasets.findings import Copies, Group, Member
from convolve.datasets.survey import Survey
from convolve.values import Dataset, Indices

MOST_GROUPS = 50
MOST_MEMBERS = 10


def find_copies(dataset: Dataset, parts: Mapping[str, Indices], seen: Survey, workers: int) -> tuple[Copies, Copies]:
    """The exact and the near copies among the images that were read; ``parts`` are the splits' indices by name."""
    split_of = {index: name for name, part in parts.items() for index in part.tolist()}
    exact = exact_groups(seen.digests)
    groups = exact, list(_near(seen, exact, workers))
    first, second = ([_judged(dataset, split_of, seen.usable[rows]) for rows in kind] for kind in groups)
    return _bounded(first), _bounded(second)


def _near(seen: Survey, exact: Sequence[Indices], workers: int) -> Iterator[Indices]:
    """Rows of nearly equal pictures; the exact copies of a member belong to its group."""
    copies = {int(group[0]): group for group in exact}
    spare = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in exact)])
    apart = np.delete(np.arange(len(seen.usable)), spare)
    for group in near_groups(seen.luma[apart], seen.chroma[apart], workers):
        yield np.sort(np.concatenate([copies.get(int(row), np.array([row])) for row in apart[group]]))


def _judged(dataset: Dataset, split_of: Mapping[int, str], indices: Indices) -> Group:
    members = [
        Member(dataset.images.name(index), split_of.get(index, ""), _label(dataset, index))
        for index in indices.tolist()
    ]
    by_split = {member.split: member for member in reversed(members)}
    by_label = {member.label: member for member in reversed(members)}
    telling = dict.fromkeys([members[0], *by_split.values(), *by_label.values(), *members])
    leak = len(by_split.keys() - {""}) > 1
    return Group(len(members), leak, len(by_label) > 1, tuple(telling)[:MOST_MEMBERS])


def _label(dataset: Dataset, index: int) -> str:
    """The class that an image shows; of several, joined by plus signs."""
    value = dataset.labels.values[index]
    shown = np.flatnonzero(value) if dataset.labels.multiple else [value]
    return " + ".join(dataset.labels.classes[number] for number in shown)


def _bounded(groups: Sequence[Group]) -> Copies:
    return Copies(
        groups=len(groups),
        spare=sum(group.count - 1 for group in groups),
        leaks=sum(group.leak for group in groups),
        conflicts=sum(group.conflict for group in groups),
        shown=tuple(sorted(groups, key=lambda group: (-group.leak - group.conflict, not group.leak))[:MOST_GROUPS]),
    )
