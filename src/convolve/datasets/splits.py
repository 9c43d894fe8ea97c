"""Training, validation and test splits: as the dataset gives them, otherwise drawn by a seed and stratified by class.

Images with one class each: every class is split by largest remainder, the rounding carried on from class to class.
Several classes an image, or groups that stay whole: greedily, the rarest first, each to the part that most lacks what
it has (iterative stratification; Sechidis, Tsoumakas, Vlahavas 2011, "On the stratification of multi-label data").
Images without classes: at random.

scikit-learn's splitters cannot do this: `StratifiedShuffleSplit` refuses a class with a single image and knows neither
groups nor several labels, and neither it nor `StratifiedGroupKFold` leaves every class an image to learn from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from convolve.datasets.crops import CroppedImages
from convolve.errors import DataError
from convolve.values import Dataset, Flags, GroundTruth, Images, Indices, Splits

Fractions = npt.NDArray[np.float64]
_NONE: Indices = np.empty(0, dtype=np.int64)
MANY = 5_000
"""Images of which smaller fractions suffice."""
USUAL_FRACTIONS = {False: (0.15, 0.2), True: (0.1, 0.1)}
"""For validation and for test, where nobody gives others, by whether there are `MANY` images."""
_TEST, _VALIDATION, _SUBSET = 1, 2, 3  # streams of random numbers, so that all folds have the same test split


@dataclass(frozen=True)
class SplitPlan:
    """How to split what a layout does not split itself.

    ``validation`` and ``test`` are fractions (0 to 1) of the images that are split. ``group_by`` is a regular
    expression on the image's name: images with an equal first group (or match) stay together. Of ``folds``, number
    ``fold`` takes another part for validation, and the same one for test. Raises `DataError` for values out of range.
    """

    validation: float
    test: float
    group_by: str | None
    seed: int
    fold: int = 0
    folds: int = 1

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or self.validation + self.test >= 1:
            raise DataError("The fractions for validation and test must not be negative, and must sum to less than 1.")
        if not 0 <= self.fold < self.folds:
            raise DataError(f"Fold {self.fold} of {self.folds} does not exist; folds count from 0.")
        if self.seed < 0:
            raise DataError(f"The seed {self.seed} is negative; seeds count from 0.")


def split(dataset: Dataset, ground_truth: GroundTruth, plan: SplitPlan, usable: Indices) -> Splits:
    """Split the ``usable`` images of a dataset, stratified by the classes of one of its ground truths, if it has any.

    Splits that the layout gives are used as they are. A validation or test split that it does not give is taken from
    its training split, and without any given splits all images are split; what is cut out of one stays together. With
    several folds, given training and validation images are split anew together. Every class has an image to learn from
    whenever it has a usable one outside of the splits used as given. Raises `DataError` when a split that is asked for
    would be empty, or groups cannot stay whole.
    """
    grouped, classes = plan.group_by is not None, ground_truth.classes
    presence = ground_truth.presence() if classes else np.ones((len(dataset), 1), dtype=bool)
    own = dataset.images.sources if isinstance(dataset.images, CroppedImages) else np.arange(len(dataset))
    groups = _Groups(
        of_image=own if plan.group_by is None else _groups_by_name(dataset.images, plan.group_by),
        presence=presence,
        simple=not grouped and bool((presence[usable].sum(1) == 1).all()),
        unit="groups" if grouped else "images of a class" if classes else "images",
    )
    given = {word: np.intersect1d(indices, usable) for word, indices in dataset.given_splits.items()}
    fixed = {word: part for word, part in given.items() if word == "test" or (word == "validation" and plan.folds == 1)}
    free = (
        np.unique(usable)
        if not given
        else np.sort(np.concatenate([given[word] for word in given if word not in fixed] or [_NONE]))
    )
    if "test" in fixed:
        test, train = fixed["test"], free
    else:
        test, train = _hold_out(groups, free, plan.test, "test", np.random.default_rng([plan.seed, _TEST]))
    random = np.random.default_rng([plan.seed, _VALIDATION])
    if "validation" in fixed:
        validation = fixed["validation"]
    elif plan.folds == 1:  # the fraction counts on what test was taken from, too
        fraction = plan.validation * len(free) / max(len(train), 1)
        validation, train = _hold_out(groups, train, fraction, "validation", random)
    else:
        held = _assign(groups, train, np.full(plan.folds, 1 / plan.folds), random, learned=None) == plan.fold
        if not held.any():
            raise DataError(f"{len(train)} images, or their groups, are too few for {plan.folds} folds; ask for fewer.")
        validation, train = train[held], train[~held]
    if not len(train):
        raise DataError(f"{dataset.root} leaves no image to learn from; add images to its training split.")
    parts = [np.unique(groups.of_image[part]) for part in (train, validation, test)]
    whole, times = np.unique(np.concatenate(parts), return_counts=True)
    if parted := int((times > 1).sum()):
        raise DataError(
            f"The dataset's own splits separate {parted} of {len(whole)} groups; drop --group-by, or those splits."
        )
    how = ("stratified by class" if groups.simple else "iteratively stratified") if classes else "at random"
    if plan.folds == 1 and "validation" in given and "test" in given:
        return Splits(train, validation, test, "as the dataset gives them")
    sizes = "the given test" if "test" in given else f"{100 * plan.test:g} % test"
    if plan.folds > 1:
        sizes += f", fold {plan.fold + 1} of {plan.folds} as validation"
    elif "validation" in given:
        sizes += ", the given validation"
    else:
        sizes += f", {100 * plan.validation:g} % validation"
    together = f", groups by '{plan.group_by}' whole" if grouped else ""
    return Splits(train, validation, test, f"{sizes}, the rest train; {how} with seed {plan.seed}{together}")


def with_subset(splits: Splits, ground_truth: GroundTruth, count: int, seed: int) -> Splits:
    """The same splits with ``count`` of the training images, of each class in proportion; validation and test are as
    they were. An image of several classes counts for the rarest of them.

    Of one seed, a smaller subset is part of a larger one. Raises `DataError` where there are not so many training
    images, and where a class would have none left to learn from.
    """
    train = splits.train
    if count > len(train):
        raise DataError(f"There are {len(train):,} training images, not {count:,}; give --subset at most that.")
    classes = ground_truth.classes
    presence = ground_truth.presence()[train] if classes else np.ones((len(train), 1), dtype=bool)
    carriers = presence.sum(0)
    rarest = np.where(presence, carriers, len(train) + 1).argmin(1)
    rarest[~presence.any(1)] = presence.shape[1]
    shuffled = np.random.default_rng([seed, _SUBSET]).permutation(len(train))
    members = shuffled[np.argsort(rarest[shuffled], kind="stable")]
    sizes = np.bincount(rarest, minlength=presence.shape[1] + 1)
    number = np.arange(len(train)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its class
    fraction = np.where(number == 0, 0, (number + 0.5) / np.repeat(sizes, sizes))  # each class's first come first
    chosen = np.sort(members[np.argsort(fraction, kind="stable")[:count]])
    if lost := int(((carriers > 0) & ~presence[chosen].any(0)).sum()):
        raise DataError(
            f"{count:,} training images leave {lost} of {len(classes)} classes without any; give --subset more."
        )
    how = f"stratified by class with seed {seed}" if classes else f"at random with seed {seed}"
    origin = f"{splits.origin}; {count:,} of {len(train):,} training images, {how}"
    return Splits(train[chosen], splits.validation, splits.test, origin)


@final
@dataclass(frozen=True, eq=False)
class _Contents:
    """Which classes groups contain, sparsely: ``group``, ``label`` and ``count`` (M,) in the groups' order; ``rows``
    (n,) is the group of each image, ``carriers`` (classes,) how many groups contain each class.
    """

    rows: Indices
    group: Indices
    label: Indices
    count: Indices
    carriers: Indices


@final
@dataclass(frozen=True, eq=False)
class _Groups:
    """What is never split: single images, or groups of them.

    ``of_image`` (N,) is the group of each image. ``presence`` (N, C) says which classes it has; what has no classes is
    of a single one. ``simple`` are single images of one class each; ``unit`` is what messages call a group.
    """

    of_image: Indices
    presence: Flags
    simple: bool
    unit: str


def _groups_by_name(images: Images, pattern: str) -> Indices:
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DataError(f"--group-by '{pattern}' is not a regular expression ({error}); correct it.") from None
    names = [images.name(index) for index in range(len(images))]
    matches = [search(name) for name in names]
    missed = [name for name, match in zip(names, matches, strict=True) if match is None]
    if missed:
        raise DataError(
            f"--group-by '{pattern}' does not match {len(missed)} of {len(names)} names, such as {missed[0]}; "
            "write it so that it matches all."
        )
    keys = [match[1 if match.re.groups else 0] or "" for match in matches if match]
    return np.unique(np.array(keys, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)


def _hold_out(
    groups: _Groups, images: Indices, fraction: float, name: str, random: np.random.Generator
) -> tuple[Indices, Indices]:
    """What is held out, and the remainder. Raises `DataError` when a positive fraction yields nothing."""
    if fraction <= 0:
        return images[:0], images
    least = 1 / max(len(np.unique(groups.of_image[images])), 2)
    fraction = min(max(fraction, least), 1 - least)
    held = _assign(groups, images, np.array([1 - fraction, fraction]), random, learned=0) == 1
    if not held.any():
        raise DataError(
            f"There are too few {groups.unit} to set some aside for {name}; add images, or set {name} to 0."
        )
    return images[held], images[~held]


def _assign(
    groups: _Groups, images: Indices, fractions: Fractions, random: np.random.Generator, learned: int | None
) -> Indices:
    """(n,) the part of each image; -1 for what is learned from whichever part is held out: a class's only group, and
    the smallest one of a class that would be in that part alone. ``learned`` is the part that is never held out, if
    there is one.
    """
    _, rows = np.unique(groups.of_image[images], return_inverse=True)
    classes = groups.presence.shape[1]
    image, label = np.nonzero(groups.presence[images])
    keys, count = np.unique(rows[image] * classes + label, return_counts=True)
    group, label = np.divmod(keys, classes)
    carriers = np.bincount(label, minlength=classes)
    contents = _Contents(rows, group, label, count, carriers)
    sole = np.isin(np.arange(rows.max(initial=-1) + 1), group[carriers[label] == 1])
    free = np.flatnonzero(~sole)
    if groups.simple:  # by largest remainder: each class is within one image of its fraction in every part
        parts = np.full(len(group), -1, dtype=np.int64)
        shuffled = random.permutation(free)
        shuffled = shuffled[np.argsort(label[shuffled], kind="stable")]
        owed = np.zeros(len(fractions))
        for members in np.split(shuffled, np.cumsum(np.bincount(label[free], minlength=classes))[:-1]):
            exact = len(members) * fractions
            own = np.floor(exact + 1e-9).astype(np.int64)
            owed += exact - own
            first = np.argsort(-owed, kind="stable")[: len(members) - own.sum()]
            own[first] += 1
            owed[first] -= 1
            parts[members] = np.repeat(np.arange(len(fractions)), own)
    else:
        parts = _assign_greedily(contents, free, fractions, random)
    sizes = np.bincount(rows)
    for part in [part for part in range(len(fractions)) if part != learned]:
        held = np.bincount(label[parts[group] == part], minlength=classes)
        for complete in np.flatnonzero((held == carriers) & (carriers > 0)):
            members = group[label == complete]
            if (parts[members] == part).all():
                parts[members[sizes[members].argmin()]] = -1
    return parts[rows]


def _assign_greedily(contents: _Contents, free: Indices, fractions: Fractions, random: np.random.Generator) -> Indices:
    """(G,) parts of groups with any contents; those that have most of a class, or most images, are assigned first.

    Each goes where it reduces most the squared distance of what the parts have from their fraction of every class and
    of all images, relative to that fraction (the rule of Sainte-Laguë, for several classes at once).
    """
    sizes = np.bincount(contents.rows)
    totals = np.bincount(contents.label, contents.count, minlength=len(contents.carriers))
    weight = sizes / len(contents.rows)
    np.maximum.at(weight, contents.group, contents.count / totals[contents.label])
    shuffled = random.permutation(free)
    order = shuffled[np.argsort(-weight[shuffled], kind="stable")]
    starts = np.searchsorted(contents.group, np.arange(len(sizes) + 1))
    lacking, space = fractions[:, None] * totals, fractions * len(contents.rows)
    parts = np.full(len(sizes), -1, dtype=np.int64)
    for group in order:
        inside = slice(starts[group], starts[group + 1])
        label, count, size = contents.label[inside], contents.count[inside], sizes[group]
        gain = (2 * lacking[:, label] - count) @ (count / totals[label] ** 2)
        gain += (2 * space - size) * (size / len(contents.rows) ** 2)
        part = parts[group] = (gain / fractions).argmax()
        lacking[part, label] -= count
        space[part] -= size
    return parts
