"""What a person should know of a dataset before the first epoch: `examine` reads every image once and judges.

To read images once though splits are drawn in between: `survey`, then `readable`, then `splits.split` with its
``usable``, then `diagnose`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from convolve.datasets.advice import advise
from convolve.datasets.duplicates import blank, exact_groups, near_groups
from convolve.datasets.findings import Duplicate, DuplicateGroup, Duplicates, Findings, Sizes, Unreadable
from convolve.datasets.survey import MAX_UNREADABLE, Survey
from convolve.datasets.survey import survey as survey_images
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Flags, GroundTruth, Indices, Splits

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
    parts = {name: np.intersect1d(part, survey.usable) for name, part in _parts(dataset, splits).items()}
    presence, names = ground_truth.presence(), ground_truth.classes
    counts = {name: presence[part].sum(0, dtype=np.int64) for name, part in {"all": survey.usable, **parts}.items()}
    total = counts["all"]
    missing = {name: _select(names, (count == 0) & (total > 0)) for name, count in counts.items()}
    channels, mean, std = _statistics(survey, parts.get("train", survey.usable))
    words = [" + ".join(_select(names, flags)) for flags in presence[survey.usable]]
    exact, near = _duplicates(dataset, dict(zip(survey.usable.tolist(), words, strict=True)), parts, survey, workers)
    findings = Findings(
        images=len(dataset),
        classes=names,
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        imbalance=float(total.max() / total[total > 0].min()) if total.any() else 1.0,
        empty_classes=_select(names, total == 0),
        single_classes=_select(names, total == 1),
        missing={name: classes for name, classes in missing.items() if classes},
        sizes=_sizes(survey),
        channels=channels,
        gray=int(np.sum(~survey.color)),
        blank=int(blank(survey.luma).sum()),
        mean=mean,
        std=std,
        unreadable=tuple(Unreadable(dataset.images.name(index), reason) for index, reason in survey.failed.items()),
        exact=exact,
        near=near,
        fingerprint=fingerprint(dataset, ground_truth, survey.usable, survey.digests),
        warnings=(),
        usable=survey.usable,
        totals=ground_truth.take(survey.usable).findings().totals,
    )
    return replace(findings, warnings=advise(findings))


def fingerprint(dataset: Dataset, ground_truth: GroundTruth, usable: Indices, digests: Sequence[bytes]) -> str:
    """32 hexadecimal digits that change with any name or stored byte of the usable images, of which the ``digests``
    are given, with anything that any of the dataset's ground truths, or this one, says of them, and with their order.
    """
    others = [dataset.ground_truths[name] for name in sorted(dataset.ground_truths)]
    ground_truths = [ground_truth, *(each for each in others if each is not ground_truth)]
    result = hashlib.blake2b(repr([each.classes for each in ground_truths]).encode(), digest_size=16)
    for index, digest in zip(usable.tolist(), digests, strict=True):
        said = [_digest(each, index) for each in ground_truths]
        result.update(repr((dataset.images.name(index), digest, said)).encode())
    return result.hexdigest()


def _digest(ground_truth: GroundTruth, index: int) -> bytes:
    """Of what is said of an image; a file that cannot be opened may be one that only another task needs."""
    try:
        return ground_truth.digest(index)
    except ImageError:
        return b"cannot be opened"


def _parts(dataset: Dataset, splits: Splits | None) -> Mapping[str, Indices]:
    """The splits by name, without empty ones."""
    parts = dataset.given_splits
    if splits is not None:
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: part for name, part in parts.items() if len(part)}


def _select(names: Sequence[str], flags: Flags) -> tuple[str, ...]:
    return tuple(names[index] for index in np.flatnonzero(flags).tolist())


def _sizes(survey: Survey) -> Sizes:
    median = np.sort(survey.sizes, axis=0)[len(survey.sizes) // 2]
    height, width = np.stack([survey.sizes.min(0), median, survey.sizes.max(0)], 1).tolist()
    return Sizes(tuple(height), tuple(width), len(np.unique(survey.sizes, axis=0)))


def _statistics(survey: Survey, part: Indices) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Channels, mean and standard deviation of a split's values, each image reduced and with the same weight."""
    rows = np.isin(survey.usable, part)
    channels = 3 if survey.color.any() else 1
    mean = survey.means[rows, :channels].mean(0, dtype=np.float64)
    variance = survey.squares[rows, :channels].mean(0, dtype=np.float64) - mean**2
    return channels, tuple(mean.tolist()), tuple(np.sqrt(np.maximum(0, variance)).tolist())


def _duplicates(
    dataset: Dataset, labels: Mapping[int, str], parts: Mapping[str, Indices], survey: Survey, workers: int | None
) -> tuple[Duplicates, Duplicates]:
    """The exact and the near duplicates among the images that were read; ``labels`` are the classes of each
    in words.
    """
    split_of = {index: name for name, part in parts.items() for index in part.tolist()}

    def group(rows: Indices) -> DuplicateGroup:
        members = [
            Duplicate(dataset.images.name(index), split_of.get(index, ""), labels[index])
            for index in survey.usable[rows].tolist()
        ]
        by_split = {member.split: member for member in reversed(members)}
        by_label = {member.label: member for member in reversed(members)}
        first = dict.fromkeys([members[0], *by_split.values(), *by_label.values(), *members])
        leak = len(by_split.keys() - {""}) > 1
        return DuplicateGroup(len(members), leak, len(by_label) > 1, tuple(first)[:MOST_MEMBERS])

    exact = exact_groups(survey.digests)
    return _summarize([group(rows) for rows in exact]), _summarize(
        [group(rows) for rows in _near(survey, exact, workers)]
    )


def _near(survey: Survey, exact: Sequence[Indices], workers: int | None) -> Iterator[Indices]:
    """Rows of nearly equal images; the exact duplicates of a member belong to its group."""
    duplicates = {int(group[0]): group for group in exact}
    redundant = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in exact)])
    distinct = np.delete(np.arange(len(survey.usable)), redundant)
    for group in near_groups(survey.luma[distinct], survey.chroma[distinct], workers):
        yield np.sort(np.concatenate([duplicates.get(int(row), np.array([row])) for row in distinct[group]]))


def _summarize(groups: Sequence[DuplicateGroup]) -> Duplicates:
    return Duplicates(
        groups=len(groups),
        redundant=sum(group.count - 1 for group in groups),
        leaks=sum(group.leak for group in groups),
        conflicts=sum(group.conflict for group in groups),
        examples=tuple(sorted(groups, key=lambda group: (-group.leak - group.conflict, not group.leak))[:MOST_GROUPS]),
    )
