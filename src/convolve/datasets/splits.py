"""Who is learned from, who selects, who is touched once: kept as given, else divided by class and seed.

One label an image: each class is divided by largest remainder, the rounding carried on from class to class. Several
labels, or groups that stay whole: greedily, the rarest first, each to the part that most lacks what it carries
(iterative stratification; Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.values import Dataset, Indices, Labels, Splits

Shares = npt.NDArray[np.float64]
_NONE: Indices = np.empty(0, dtype=np.int64)
_TEST, _VALIDATION = 1, 2  # streams of random numbers, so that folds share one test split


@dataclass(frozen=True)
class SplitPlan:
    """How to divide what a layout leaves undivided.

    ``validation`` and ``test`` are shares (0 to 1) of the images that are divided. ``group_by`` is a regular expression
    on the image's name: images with an equal first group (or match) stay together. Of ``folds``, number ``fold`` takes
    another part as validation, the same test. Raises `DataError` for values out of range.
    """

    validation: float
    test: float
    group_by: str | None
    seed: int
    fold: int = 0
    folds: int = 1

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise DataError("The shares of validation and test must leave a share to learn from: below 1 together.")
        if not 0 <= self.fold < self.folds:
            raise DataError(f"Fold {self.fold} of {self.folds} does not exist; folds count from 0.")
        if self.seed < 0:
            raise DataError(f"The seed {self.seed} is negative; seeds count from 0.")


def split(dataset: Dataset, plan: SplitPlan, usable: Indices) -> Splits:
    """Divide the ``usable`` images of a dataset.

    Parts that the layout gives are kept. A validation or test part that it does not give is taken from its training
    part, and without any given parts all are divided. With several folds, given training and validation images are
    divided anew together. Every class has an image to learn from whenever it has a usable one outside of the parts that
    are kept. Raises `DataError` when a part that is asked for would be empty, or groups cannot be kept whole.
    """
    units = _units(dataset, plan.group_by)
    given = {word: np.intersect1d(indices, usable) for word, indices in dataset.given.items()}
    kept = {word: part for word, part in given.items() if word == "test" or (word == "validation" and plan.folds == 1)}
    free = (
        np.unique(usable)
        if not given
        else np.concatenate([given[word] for word in given if word not in kept] or [_NONE])
    )
    test, train = _test(units, np.sort(free), plan) if "test" not in kept else (kept["test"], np.sort(free))
    if "validation" in kept:
        validation = kept["validation"]
    else:
        validation, train = _validation(units, train, plan, len(free))
    if not len(train):
        raise DataError(f"{dataset.root} leaves no image to learn from; add images to its training part.")
    splits = Splits(train, validation, test, _origin(dataset, plan))
    units.check(splits)
    return splits


@final
@dataclass(frozen=True, eq=False)
class _Carried:
    """What units carry, sparsely: ``unit``, ``label`` and ``count`` (M,) in the units' order; ``rows`` (n,) the unit of
    each image.
    """

    rows: Indices
    unit: Indices
    label: Indices
    count: Indices
    classes: int

    @property
    def carriers(self) -> Indices:
        """(classes,) how many units carry each label."""
        return np.bincount(self.label, minlength=self.classes)


@final
@dataclass(frozen=True, eq=False)
class _Units:
    """What is never divided: single images, or groups; ``of_image`` (N,) is the unit of each image."""

    labels: Labels
    of_image: Indices
    grouped: bool

    def carried(self, images: Indices) -> _Carried:
        """What the units of some images carry."""
        _, rows = np.unique(self.of_image[images], return_inverse=True)
        values, classes = self.labels.values[images], len(self.labels.classes)
        image, label = np.nonzero(values) if self.labels.multiple else (np.arange(len(images)), values)
        keys, count = np.unique(rows[image] * classes + label, return_counts=True)
        return _Carried(rows, keys // classes, keys % classes, count, classes)

    def check(self, splits: Splits) -> None:
        """Raise `DataError` when a unit stands in two parts."""
        parts = [np.unique(self.of_image[part]) for part in (splits.train, splits.validation, splits.test)]
        numbers, times = np.unique(np.concatenate(parts), return_counts=True)
        if (times > 1).any():
            count = int((times > 1).sum())
            raise DataError(
                f"The dataset's own splits divide {count} of {len(numbers)} groups; give up group-by or those splits."
            )


def _units(dataset: Dataset, group_by: str | None) -> _Units:
    of_image = np.arange(len(dataset)) if group_by is None else _groups(dataset, group_by)
    return _Units(dataset.labels, of_image, group_by is not None)


def _groups(dataset: Dataset, pattern: str) -> Indices:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DataError(f"group-by '{pattern}' is no regular expression ({error}).") from None
    names = [dataset.images.name(index) for index in range(len(dataset))]
    matches = [search(name) for name in names]
    missed = [name for name, match in zip(names, matches, strict=True) if match is None]
    if missed:
        raise DataError(
            f"group-by '{pattern}' does not match {len(missed)} of {len(names)} names, such as {missed[0]}; "
            "write it so that it matches all."
        )
    keys = [match[1 if match.re.groups else 0] or "" for match in matches if match]
    return np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def _test(units: _Units, images: Indices, plan: SplitPlan) -> tuple[Indices, Indices]:
    return _hold_out(units, images, plan.test, "test", np.random.default_rng([plan.seed, _TEST]))


def _validation(units: _Units, images: Indices, plan: SplitPlan, whole: int) -> tuple[Indices, Indices]:
    """The validation part, its share counted on the ``whole`` that test was taken from too; and the rest."""
    random = np.random.default_rng([plan.seed, _VALIDATION])
    if plan.folds > 1:
        return _fold(units, images, plan, random)
    return _hold_out(units, images, plan.validation * whole / max(len(images), 1), "validation", random)


def _hold_out(
    units: _Units, images: Indices, share: float, name: str, random: np.random.Generator
) -> tuple[Indices, Indices]:
    """The part held out, and the rest. Raises `DataError` when a positive share yields nothing."""
    if share <= 0:
        return images[:0], images
    least = 1 / max(len(np.unique(units.of_image[images])), 2)
    share = min(max(share, least), 1 - least)
    held = _parts(units, images, np.array([1 - share, share]), random, learned=0) == 1
    if not held.any():
        what = "groups" if units.grouped else "images of a class"
        raise DataError(f"There are too few {what} to set some aside for {name}; add images, or set {name} to 0.")
    return images[held], images[~held]


def _fold(units: _Units, images: Indices, plan: SplitPlan, random: np.random.Generator) -> tuple[Indices, Indices]:
    held = _parts(units, images, np.full(plan.folds, 1 / plan.folds), random, learned=None) == plan.fold
    if not held.any():
        raise DataError(f"{len(images)} images, or their groups, are too few for {plan.folds} folds; ask for fewer.")
    return images[held], images[~held]


def _parts(units: _Units, images: Indices, shares: Shares, random: np.random.Generator, learned: int | None) -> Indices:
    """(n,) the part of each image; -1 for what is learned from whichever part is held out: a class's only unit.
    ``learned`` is the part that is never held out, if there is one.
    """
    carried = units.carried(images)
    sole = np.isin(np.arange(carried.rows.max(initial=-1) + 1), carried.unit[carried.carriers[carried.label] == 1])
    free = np.flatnonzero(~sole)
    if units.grouped or units.labels.multiple:
        parts = _greedily(carried, free, shares, random)
    else:
        parts = _by_remainder(carried, free, shares, random)
    for part in range(len(shares)):
        if part != learned:
            _give_back(parts, carried, part)
    return parts[carried.rows]


def _by_remainder(carried: _Carried, free: Indices, shares: Shares, random: np.random.Generator) -> Indices:
    """(U,) parts of units of one image and one label; each class is within one image of its share in every part."""
    parts = np.full(len(carried.unit), -1, dtype=np.int64)
    shuffled = random.permutation(free)
    shuffled = shuffled[np.argsort(carried.label[shuffled], kind="stable")]
    owed = np.zeros(len(shares))
    for members in np.split(shuffled, np.cumsum(np.bincount(carried.label[free], minlength=carried.classes))[:-1]):
        wanted = len(members) * shares
        sizes = np.floor(wanted + 1e-9).astype(np.int64)
        owed += wanted - sizes
        first = np.argsort(-owed, kind="stable")[: len(members) - sizes.sum()]
        sizes[first] += 1
        owed[first] -= 1
        parts[members] = np.repeat(np.arange(len(shares)), sizes)
    return parts


def _greedily(carried: _Carried, free: Indices, shares: Shares, random: np.random.Generator) -> Indices:
    """(U,) parts of units that carry anything; those that hold most of a class, or most images, are dealt first.

    Each goes where it lessens most the squared distance of what the parts hold from their share of every class and of
    all images, relative to that share (the rule of Sainte-Laguë, for several classes at once).
    """
    sizes = np.bincount(carried.rows)
    totals = np.bincount(carried.label, carried.count, minlength=carried.classes)
    weight = sizes / len(carried.rows)
    np.maximum.at(weight, carried.unit, carried.count / totals[carried.label])
    shuffled = random.permutation(free)
    order = shuffled[np.argsort(-weight[shuffled], kind="stable")]
    starts = np.searchsorted(carried.unit, np.arange(len(sizes) + 1))
    lacking, room = shares[:, None] * totals, shares * len(carried.rows)
    parts = np.full(len(sizes), -1, dtype=np.int64)
    for unit in order:
        inside = slice(starts[unit], starts[unit + 1])
        label, count, size = carried.label[inside], carried.count[inside], sizes[unit]
        gain = (2 * lacking[:, label] - count) @ (count / totals[label] ** 2)
        gain += (2 * room - size) * (size / len(carried.rows) ** 2)
        part = parts[unit] = (gain / shares).argmax()
        lacking[part, label] -= count
        room[part] -= size
    return parts


def _give_back(parts: Indices, carried: _Carried, part: int) -> None:
    """Take from ``part`` the smallest unit of each class that stands in it as a whole, to be learned from."""
    held = carried.label[parts[carried.unit] == part]
    whole = (np.bincount(held, minlength=carried.classes) == carried.carriers) & (carried.carriers > 0)
    sizes = np.bincount(carried.rows)
    for label in np.flatnonzero(whole):
        units = carried.unit[carried.label == label]
        if (parts[units] == part).all():
            parts[units[sizes[units].argmin()]] = -1


def _origin(dataset: Dataset, plan: SplitPlan) -> str:
    if plan.folds == 1 and {"validation", "test"} <= set(dataset.given):
        return "as the dataset gives them"
    shares = "the given test" if "test" in dataset.given else f"{100 * plan.test:g} % test"
    if plan.folds > 1:
        shares += f", fold {plan.fold + 1} of {plan.folds} as validation"
    elif "validation" in dataset.given:
        shares += ", the given validation"
    else:
        shares += f", {100 * plan.validation:g} % validation"
    how = "iteratively stratified" if dataset.labels.multiple or plan.group_by else "stratified by class"
    groups = f", groups by '{plan.group_by}' whole" if plan.group_by else ""
    return f"{shares}, the rest train; {how} with seed {plan.seed}{groups}"
