"""What a person should know of a dataset before the first epoch: `examine` reads every image once and judges.

To read images once though splits are drawn in between: `survey`, then `readable`, then `splits.split` with its
``usable``, then `diagnose`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Literal

import numpy as np

from convolve.datasets.duplicates import blank, exact_groups, near_groups
from convolve.datasets.findings import Duplicate, DuplicateGroup, Duplicates, Findings, Sizes, Unreadable
from convolve.datasets.survey import MAX_UNREADABLE, Survey
from convolve.datasets.survey import survey as survey_images
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, GroundTruth, Indices, Splits

IMBALANCE = 10.0
"""How many times the smallest class the largest may be before it is worth a sentence."""
MOST_GROUPS = 50
MOST_MEMBERS = 10
_NAMED = 5


def examine(
    dataset: Dataset, ground_truth: GroundTruth, splits: Splits | None = None, workers: int | None = None
) -> Findings:
    """Read every image of a dataset once, and one of its ground truths, and judge them; without ``splits`` by those
    that the layout gives.

    Raises `DataError` when more than `survey.MAX_UNREADABLE` of the images cannot be read, naming some.
    """
    return diagnose(dataset, ground_truth, splits, survey_images(dataset.images, workers), workers)


def readable(dataset: Dataset, ground_truth: GroundTruth, survey: Survey) -> Survey:
    """A survey without the images whose ground truth cannot be read. Raises `DataError` when more than
    `survey.MAX_UNREADABLE` of the images are left out.
    """
    unread = {index: why for index, why in ground_truth.findings().failed.items() if index not in survey.failed}
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
    rows = np.flatnonzero(~np.isin(survey.usable, list(unread)))
    return replace(
        survey,
        usable=survey.usable[rows],
        sizes=survey.sizes[rows],
        color=survey.color[rows],
        means=survey.means[rows],
        squares=survey.squares[rows],
        luma=survey.luma[rows],
        chroma=survey.chroma[rows],
        digests=tuple(survey.digests[row] for row in rows.tolist()),
        failed=failed,
    )


def diagnose(
    dataset: Dataset, ground_truth: GroundTruth, splits: Splits | None, survey: Survey, workers: int | None = None
) -> Findings:
    """Judge a dataset by a survey of its images and by one of its ground truths; no image is read again.

    Raises `DataError` as `readable` does.
    """
    survey = readable(dataset, ground_truth, survey)
    parts = dataset.given_splits
    if splits is not None:
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    parts = {name: np.intersect1d(part, survey.usable) for name, part in parts.items() if len(part)}
    presence, names = ground_truth.presence(), ground_truth.classes
    counts = {name: presence[part].sum(0, dtype=np.int64) for name, part in {"all": survey.usable, **parts}.items()}
    total = counts["all"]
    missing = {name: tuple(compress(names, (count == 0) & (total > 0))) for name, count in counts.items()}
    labels = {
        index: " + ".join(names[label] for label in np.flatnonzero(presence[index])) for index in survey.usable.tolist()
    }
    split_of = {index: name for name, part in parts.items() for index in part.tolist()}
    exact = exact_groups(survey.digests)
    near = _near_groups(survey, exact, workers)
    ordered = np.sort(survey.sizes, axis=0)
    heights, widths = (tuple(sides.tolist()) for sides in ordered[[0, len(ordered) // 2, -1]].T)
    channels, mean, std = _statistics(survey, parts.get("train", survey.usable))
    findings = Findings(
        images=len(dataset),
        classes=names,
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        imbalance=float(total.max() / total[total > 0].min()) if total.any() else 1.0,
        empty_classes=tuple(compress(names, total == 0)),
        single_classes=tuple(compress(names, total == 1)),
        missing={name: classes for name, classes in missing.items() if classes},
        sizes=Sizes(heights, widths, len(np.unique(survey.sizes, axis=0))),
        channels=channels,
        gray=int(np.sum(~survey.color)),
        blank=int(blank(survey.luma).sum()),
        mean=mean,
        std=std,
        unreadable=tuple(Unreadable(dataset.images.name(index), reason) for index, reason in survey.failed.items()),
        exact=_summarize(dataset, survey.usable, exact, labels, split_of),
        near=_summarize(dataset, survey.usable, near, labels, split_of),
        fingerprint=fingerprint(dataset, ground_truth, survey.usable, survey.digests),
        warnings=(),
        usable=survey.usable,
        totals=ground_truth.take(survey.usable).findings().totals,
    )
    return replace(findings, warnings=tuple(_advice(findings)))


def fingerprint(dataset: Dataset, ground_truth: GroundTruth, usable: Indices, digests: Sequence[bytes]) -> str:
    """32 hexadecimal digits that change with any name or stored byte of the usable images, of which the ``digests``
    are given, with anything that any of the dataset's ground truths, or this one, says of them, and with their order.
    """
    others = [dataset.ground_truths[name] for name in sorted(dataset.ground_truths)]
    ground_truths = [ground_truth, *(each for each in others if each is not ground_truth)]
    result = hashlib.blake2b(repr([each.classes for each in ground_truths]).encode(), digest_size=16)
    for index, digest in zip(usable.tolist(), digests, strict=True):
        said: list[bytes] = []
        for each in ground_truths:
            try:
                said.append(each.digest(index))
            except ImageError:  # the file may be one that only another task needs
                said.append(b"cannot be opened")
        result.update(repr((dataset.images.name(index), digest, said)).encode())
    return result.hexdigest()


def _statistics(survey: Survey, part: Indices) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Channels, mean and standard deviation of a split's values, each image reduced and with the same weight."""
    rows = np.isin(survey.usable, part)
    channels = 3 if survey.color.any() else 1
    mean = survey.means[rows, :channels].mean(0, dtype=np.float64)
    variance = survey.squares[rows, :channels].mean(0, dtype=np.float64) - mean**2
    return channels, tuple(mean.tolist()), tuple(np.sqrt(np.maximum(0, variance)).tolist())


def _near_groups(survey: Survey, exact: Sequence[Indices], workers: int | None) -> Iterator[Indices]:
    """Rows of nearly equal images; the exact duplicates of a member belong to its group."""
    duplicates = {int(group[0]): group for group in exact}
    redundant = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in exact)])
    distinct = np.delete(np.arange(len(survey.usable)), redundant)
    for group in near_groups(survey.luma[distinct], survey.chroma[distinct], workers):
        yield np.sort(np.concatenate([duplicates.get(int(row), np.array([row])) for row in distinct[group]]))


def _summarize(
    dataset: Dataset,
    usable: Indices,
    rows_of_groups: Iterable[Indices],
    labels: Mapping[int, str],
    split_of: Mapping[int, str],
) -> Duplicates:
    """The duplicates among the ``usable`` images, given each group's rows, and for each image its ``labels`` in words
    and the split that it is in, if any.
    """
    groups: list[DuplicateGroup] = []
    for rows in rows_of_groups:
        members = [
            Duplicate(dataset.images.name(index), split_of.get(index, ""), labels[index])
            for index in usable[rows].tolist()
        ]
        by_split = {member.split: member for member in reversed(members)}
        by_label = {member.label: member for member in reversed(members)}
        first = dict.fromkeys([members[0], *by_split.values(), *by_label.values(), *members])
        leak = len(by_split.keys() - {""}) > 1
        groups.append(DuplicateGroup(len(members), leak, len(by_label) > 1, tuple(first)[:MOST_MEMBERS]))
    return Duplicates(
        groups=len(groups),
        redundant=sum(group.count - 1 for group in groups),
        leaks=sum(group.leak for group in groups),
        conflicts=sum(group.conflict for group in groups),
        examples=tuple(sorted(groups, key=lambda group: (-group.leak - group.conflict, not group.leak))[:MOST_GROUPS]),
    )


def _advice(findings: Findings) -> Iterator[str]:
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
    yield from _class_advice(findings)
    for duplicates, kind in kinds:
        within = duplicates.groups - duplicates.leaks  # those across splits have their own sentence
        if within:
            example = _example([group for group in duplicates.examples if not group.leak], "label")
            number = _images_with_verb(within, "has", "have")
            yield f"{number} {kind} duplicate{example}; remove it, or keep such series together with --group-by."


def _class_advice(findings: Findings) -> Iterator[str]:
    if findings.empty_classes:
        yield f"No image shows {_enumerate(findings.empty_classes)}; add some, or remove the class."
    if findings.single_classes:
        yield f"A single image shows {_enumerate(findings.single_classes)}: too few to learn and to test; add some."
    for split, classes in findings.missing.items():
        yield (
            f"The {split} split has no image of {_enumerate(classes)}; move some there, or remove the dataset's own "
            "splits so that new ones are drawn."
        )
    if findings.imbalance > IMBALANCE:
        yield (
            f"The largest class has {findings.imbalance:.0f} times the images of the smallest; "
            "use class weights or the balanced sampler, and judge by macro averages rather than accuracy."
        )


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
