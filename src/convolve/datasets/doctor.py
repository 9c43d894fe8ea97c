"""What a person should know of a dataset before the first epoch: values for programs, and sentences for people.

`survey` reads every image once, `diagnose` judges. To draw splits in between, call `readable` after the survey, and
`splits.split` with what is ``usable`` then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import compress
from typing import Any, Literal, final

import numpy as np

from convolve.datasets.duplicates import blank, exact_groups, near_groups
from convolve.datasets.labels import Labels
from convolve.datasets.survey import MAX_UNREADABLE, Survey
from convolve.errors import DataError, ImageError
from convolve.progress import Listener
from convolve.values import Dataset, Flags, GroundTruth, Indices, Remark, Splits

IMBALANCE = 10.0
"""How many times the smallest class the largest may be before it is worth a sentence."""
MOST_GROUPS = 50
MOST_MEMBERS = 10
_NAMED = 5


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


NO_DUPLICATES = Duplicates(0, 0, 0, 0, ())


@dataclass(frozen=True)
class Findings:
    """A dataset's state of health, of its readable images unless it says otherwise.

    ``counts``: images per class, in the order of ``classes``, for `all` and each split, and ``split_sizes`` all images
    of these, whether they show none of the classes or several. ``imbalance``: the largest class over the smallest that
    has any. ``channels``: 1 when every image is gray, else 3; ``mean`` and ``std`` as many, of values between 0 and 1,
    over the training split if there is one. ``missing``: the classes that a split lacks though others have them.
    ``blank`` counts images of a single color.
    ``warnings``: a sentence each with its remedy, most important first. ``usable`` (U,) are the indices that could be
    read. ``totals``: further numbers for each class under a heading, such as the `pixels` of masks; ``fractions`` are
    the headings of those to be read as fractions of their sum. ``facts``: what else the ground truth counts, as text
    under a heading. ``exact_rows`` and ``near_rows`` are the indices of the images of all groups of duplicates.
    """

    images: int
    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    split_sizes: Mapping[str, int]
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
    warnings: tuple[str, ...]
    usable: Indices
    totals: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    fractions: frozenset[str] = frozenset()
    exact_rows: tuple[Indices, ...] = ()
    near_rows: tuple[Indices, ...] = ()


def as_json(findings: Findings) -> dict[str, Any]:
    """The findings as JSON has them, under the fields' names; of ``usable`` only the number, and no indices."""
    document = asdict(replace(findings, exact_rows=(), near_rows=()))
    del document["exact_rows"], document["near_rows"], document["fractions"]
    return {**document, "usable": len(findings.usable)}


def readable(dataset: Dataset, ground_truth: GroundTruth, survey: Survey) -> Survey:
    """A survey without the images whose ground truth cannot be read. Raises `DataError` when more than
    `survey.MAX_UNREADABLE` of the images are left out.
    """
    unread = {index: why for index, why in ground_truth.findings.failed.items() if index not in survey.failed}
    if not unread:
        return survey
    failed = dict(sorted({**survey.failed, **unread}.items()))
    if len(failed) > MAX_UNREADABLE * len(dataset):
        named = "; ".join(f"{dataset.images.name(index)}: {why}" for index, why in list(unread.items())[:_NAMED])
        more = "; and others" if len(unread) > _NAMED else ""
        raise DataError(
            f"{len(failed)} of {len(dataset)} images in {dataset.root}, or what belongs to them, cannot be read, more "
            f"than {MAX_UNREADABLE:.0%}; repair or remove them ({named}{more})."
        )
    return replace(survey, usable=np.setdiff1d(survey.usable, list(unread)), failed=failed)


def diagnose(
    dataset: Dataset,
    ground_truth: GroundTruth,
    splits: Splits | None,
    survey: Survey,
    imbalance_remedy: str,
    listener: Listener | None = None,
) -> Findings:
    """What a survey of a dataset's images and one of its ground truths say; ``imbalance_remedy`` is what to do about
    classes of very different sizes. Raises `DataError` as `readable` does.
    """
    survey = readable(dataset, ground_truth, survey)
    own = {"train": splits.train, "validation": splits.validation, "test": splits.test} if splits else None
    given = (own or dataset.given_splits).items()
    parts = {name: np.intersect1d(part, survey.usable) for name, part in given if len(part)}
    names, found = ground_truth.classes, ground_truth.findings
    considered = {"all": survey.usable, **parts}
    if isinstance(ground_truth, Labels) and not ground_truth.multi_label:
        values = ground_truth.values.astype(np.int64, copy=False)
        present = _Presence(names, values, np.empty((0, 0), dtype=bool))
        counts = {name: np.bincount(values[part], minlength=len(names)) for name, part in considered.items()}
    else:
        present = _Presence(names, None, ground_truth.presence())
        counts = {name: present.flags[part].sum(0, dtype=np.int64) for name, part in considered.items()}
    total = counts["all"]
    missing = {name: tuple(compress(names, (count == 0) & (total > 0))) for name, count in counts.items()}
    measured = survey.measurements if len(survey.usable) == len(dataset) else survey.measurements[survey.usable]
    exact = [survey.usable[group] for group in exact_groups(survey.digests.values[survey.usable])]
    near = near_groups(survey.thumbnails, survey.usable, exact, listener=listener)
    ordered = np.sort(measured["size"], axis=0)
    heights, widths = (tuple(sides.tolist()) for sides in ordered[[0, len(ordered) // 2, -1]].T)
    channels = 3 if measured["color"].any() else 1
    learned = measured[np.isin(survey.usable, parts.get("train", survey.usable))]  # each image has the same weight
    mean, square = (learned[name][:, :channels].mean(0, dtype=np.float64) for name in ("mean", "square"))
    findings = Findings(
        images=len(dataset),
        classes=names,
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        split_sizes=dict(zip(considered, map(len, considered.values()), strict=True)),
        imbalance=float(total.max() / total[total > 0].min()) if total.any() else 1.0,
        empty_classes=tuple(compress(names, total == 0)),
        single_classes=tuple(compress(names, total == 1)),
        missing={name: classes for name, classes in missing.items() if classes},
        sizes=Sizes(heights, widths, len(np.unique(measured["size"] @ [2**32, 1]))),
        channels=channels,
        gray=int(np.sum(~measured["color"])),
        blank=int(blank(survey.thumbnails, survey.usable, single_color=True).sum()),
        mean=tuple(mean.tolist()),
        std=tuple(np.sqrt(np.maximum(0, square - mean**2)).tolist()),
        unreadable=tuple(Unreadable(dataset.images.name(index), reason) for index, reason in survey.failed.items()),
        exact=_summarize(dataset, present, parts, exact) if exact else NO_DUPLICATES,
        near=_summarize(dataset, present, parts, near) if near else NO_DUPLICATES,
        warnings=(),
        usable=survey.usable,
        totals={name: tuple(each[survey.usable].sum(0).tolist()) for name, each in found.counts.items()},
        exact_rows=tuple(exact),
        near_rows=tuple(near),
    )
    sentences = (*_advice(findings, imbalance_remedy), *(_as_sentence(dataset, remark) for remark in found.remarks))
    return replace(findings, facts=found.facts, fractions=found.fractions, warnings=sentences)


def fingerprint(dataset: Dataset, ground_truth: GroundTruth, usable: Indices, digests: Sequence[bytes]) -> str:
    """32 hexadecimal digits that change with any name or stored byte of the usable images, by the ``digests`` of all;
    with anything that any of the dataset's ground truths, or this one, says of them; and with their order.
    """
    others = [dataset.ground_truths[name] for name in sorted(dataset.ground_truths)]
    ground_truths = [ground_truth, *(each for each in others if each is not ground_truth)]
    result = hashlib.blake2b(repr([each.classes for each in ground_truths]).encode(), digest_size=16)
    for index in map(int, usable):
        said: list[bytes] = []
        for each in ground_truths:
            try:
                said.append(each.digest(index))
            except ImageError:  # the file may be one that only another task needs
                said.append(b"cannot be opened")
        result.update(repr((dataset.images.name(index), digests[index], said)).encode())
    return result.hexdigest()


@final
@dataclass(frozen=True, eq=False)
class _Presence:
    """Which classes occur in which images: ``values`` (N,) where each has one label, as flags of a million images and a
    thousand classes would fill memory; else ``flags`` (N, C).
    """

    classes: tuple[str, ...]
    values: Indices | None
    flags: Flags

    def combinations(self, rows: Indices) -> Indices:
        """(M,) the same number for those of some images that have the same classes."""
        if self.values is not None:
            return self.values[rows]
        return np.unique(self.flags[rows], axis=0, return_inverse=True)[1].reshape(-1)

    def name(self, index: int) -> str:
        """The classes of an image, joined by plus signs."""
        if self.values is not None:
            return self.classes[int(self.values[index])]
        return " + ".join(compress(self.classes, self.flags[index]))


def _summarize(
    dataset: Dataset, present: _Presence, parts: Mapping[str, Indices], groups: Sequence[Indices]
) -> Duplicates:
    """The groups of duplicates, given the indices of each; ``parts`` has those of each split."""
    split_of = np.zeros(len(dataset), np.uint8)  # 0: in none
    for number, part in enumerate(parts.values(), 1):
        split_of[part] = number
    rows, counts = np.concatenate(groups), np.array([len(group) for group in groups])
    starts = np.cumsum(counts) - counts
    splits, labels = split_of[rows], present.combinations(rows)
    first_split = np.minimum.reduceat(np.where(splits > 0, splits, 255), starts)
    leak = np.maximum.reduceat(splits, starts) > first_split
    conflict = np.maximum.reduceat(labels, starts) != np.minimum.reduceat(labels, starts)
    names = ("", *parts)
    examples = []
    for number in np.lexsort((~leak, -leak.astype(np.int8) - conflict))[:MOST_GROUPS].tolist():
        group = groups[number]
        shown = _spread(split_of[group], present.combinations(group))
        members = [
            Duplicate(dataset.images.name(index), names[split_of[index]], present.name(index))
            for index in group[shown].tolist()
        ]
        examples.append(DuplicateGroup(len(group), bool(leak[number]), bool(conflict[number]), tuple(members)))
    return Duplicates(len(groups), int((counts - 1).sum()), int(leak.sum()), int(conflict.sum()), tuple(examples))


def _spread(*kinds: Indices) -> list[int]:
    """Positions of the first members of a group: its first one, the first of each split and of each combination of
    labels, the others as they come; `MOST_MEMBERS` at most.
    """
    chosen = dict.fromkeys([0])
    for kind in kinds:
        _, first = np.unique(kind, return_index=True)
        _, last = np.unique(kind[::-1], return_index=True)
        chosen |= dict.fromkeys(first[np.argsort(last)].tolist())  # that which is met last goes first
    chosen |= dict.fromkeys(range(min(MOST_MEMBERS, len(kinds[0]))))
    return list(chosen)[:MOST_MEMBERS]


def _as_sentence(dataset: Dataset, remark: Remark) -> str:
    """What is odd about images, by their names."""
    names = [dataset.images.name(index) for index in remark.images]
    return f"{remark.what}, such as in {_enumerate(names)}; {remark.remedy}."


def _advice(findings: Findings, imbalance_remedy: str) -> Iterator[str]:
    """A sentence for each thing that a person should know before the first epoch, most important first: what is wrong
    and what to do about it.
    """
    kinds = ((findings.exact, "an exact"), (findings.near, "a near"))
    for duplicates, kind in kinds:
        if duplicates.leaks:
            example = _example([group for group in duplicates.examples if group.leak], "split")
            yield (
                f"LEAK: {_images_with_verb(duplicates.leaks, 'has', 'have')} {kind} duplicate in another split"
                f"{example}, which makes results look better than they are; keep one of them, or keep related files "
                "together with --group-by."
            )
    for duplicates, kind in kinds:
        if duplicates.conflicts:
            example = _example([group for group in duplicates.examples if group.conflict], "label")
            number = _images_with_verb(duplicates.conflicts, "has", "have")
            yield f"{number} {kind} duplicate with another label{example}; correct the wrong one."
    if findings.unreadable:
        number = _images_with_verb(len(findings.unreadable), "is", "are")
        names = _enumerate([image.name for image in findings.unreadable])
        yield f"{number} unreadable and left out: {names}; repair or remove them."
    if findings.blank:
        number = _images_with_verb(findings.blank, "is", "are")
        yield f"{number} of a single color; check whether that is meant to be in the dataset."
    yield from _class_advice(findings, imbalance_remedy)
    for duplicates, kind in kinds:
        within = duplicates.groups - duplicates.leaks  # those across splits have their own sentence
        if within:
            example = _example([group for group in duplicates.examples if not group.leak], "label")
            number = _images_with_verb(within, "has", "have")
            yield f"{number} {kind} duplicate{example}; remove it, or keep such series together with --group-by."


def _class_advice(findings: Findings, imbalance_remedy: str) -> Iterator[str]:
    if findings.empty_classes:
        yield f"No image shows {_enumerate(findings.empty_classes)}; add some, or remove the class."
    if findings.single_classes:
        yield f"A single image shows {_enumerate(findings.single_classes)}: too few to learn and to test; add some."
    alike: dict[str, list[str]] = {}
    for name in findings.classes:
        alike.setdefault(" ".join(name.split()).casefold(), []).append(f"'{name}'")
    for names in [names for names in alike.values() if len(names) > 1][:_NAMED]:
        yield f"The classes {' and '.join(names)} differ only in case or spaces; rename one."
    for split, classes in findings.missing.items():
        yield (
            f"The {split} split has no image of {_enumerate(classes)}; move some there, or remove the dataset's own "
            "splits so that new ones are drawn."
        )
    if findings.imbalance > IMBALANCE:
        yield (f"The largest class has {findings.imbalance:.0f} times the images of the smallest; {imbalance_remedy}.")


def _example(groups: Sequence[DuplicateGroup], fact: Literal["split", "label"]) -> str:
    """Two members of the first group with that fact; two that differ in it where there are such."""
    if not groups:
        return ""
    facts = [(member.name, member.split if fact == "split" else member.label) for member in groups[0].members]
    other = next((each for each in facts if each[1] != facts[0][1]), facts[:2][-1])
    first, second = (f"{name} in {value}" if value else name for name, value in (facts[0], other))
    return f" (such as {first} = {second})"


def _images_with_verb(count: int, one: str, several: str) -> str:
    return f"1 image {one}" if count == 1 else f"{count:,} images {several}"


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
