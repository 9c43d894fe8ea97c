"""What a person should know of a dataset before the first epoch: `examine` reads every image once and judges.

To have images read once though a split is drawn in between: `survey`, then `splits.split` with its ``usable``, then
`diagnose`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from convolve.datasets.advice import advise
from convolve.datasets.copies import find_copies
from convolve.datasets.duplicates import blank
from convolve.datasets.findings import Findings, Sizes, Unreadable
from convolve.datasets.masks import pixel_counts
from convolve.datasets.survey import Survey, survey
from convolve.values import Dataset, Indices, Splits


def examine(dataset: Dataset, splits: Splits | None = None, workers: int = 2) -> Findings:
    """Read every image of a dataset once and judge it; without ``splits`` by those that the layout gives.

    Raises `DataError` when more than `survey.MAX_UNREADABLE` of the images cannot be read, naming some.
    """
    return diagnose(dataset, splits, survey(dataset.images, workers), workers)


def diagnose(dataset: Dataset, splits: Splits | None, seen: Survey, workers: int = 2) -> Findings:
    """Judge a dataset by what a survey has seen of it, reading nothing again."""
    parts = {name: np.intersect1d(part, seen.usable) for name, part in _parts(dataset, splits).items()}
    counts = {"all": dataset.labels.take(seen.usable).counts()}
    counts |= {name: dataset.labels.take(part).counts() for name, part in parts.items()}
    channels, mean, std = _statistics(seen, parts.get("train", seen.usable))
    exact, near = find_copies(dataset, parts, seen, workers)
    findings = Findings(
        images=len(dataset),
        classes=dataset.labels.classes,
        counts={name: tuple(count.tolist()) for name, count in counts.items()},
        imbalance=_imbalance(counts["all"]),
        empty_classes=_named(dataset, counts["all"] == 0),
        single_classes=_named(dataset, counts["all"] == 1),
        missing=_missing(dataset, counts),
        sizes=_sizes(seen),
        channels=channels,
        gray=int(np.sum(~seen.color)),
        blank=int(blank(seen.luma).sum()),
        mean=mean,
        std=std,
        unreadable=tuple(Unreadable(dataset.images.name(index), reason) for index, reason in seen.failed.items()),
        exact=exact,
        near=near,
        fingerprint=_fingerprint(dataset, seen.usable, seen.digests),
        warnings=(),
        usable=seen.usable,
        pixels=_pixel_counts(dataset, seen.usable),
    )
    return replace(findings, warnings=advise(findings))


def fingerprint(dataset: Dataset, usable: Indices) -> str:
    """32 hexadecimal digits that change with any name, label or stored byte of the usable images and their masks, and
    with their order.

    Reads every file; `Findings.fingerprint` is the same at no cost. Raises `ImageError`.
    """
    return _fingerprint(dataset, usable, [dataset.images.digest(int(index)) for index in usable])


def _fingerprint(dataset: Dataset, usable: Indices, digests: Sequence[bytes]) -> str:
    whole = hashlib.blake2b(repr(dataset.labels.classes).encode(), digest_size=16)
    labels = dataset.labels.values.tolist()
    for index, digest in zip(usable.tolist(), digests, strict=True):
        whole.update(repr((dataset.images.name(index), labels[index], digest)).encode())
        if dataset.masks:
            whole.update(dataset.masks.digest(index))
    return whole.hexdigest()


def _pixel_counts(dataset: Dataset, usable: Indices) -> tuple[int, ...]:
    masks = dataset.masks
    return tuple(pixel_counts(masks, usable, len(dataset.labels.classes)).sum(0).tolist()) if masks else ()


def _parts(dataset: Dataset, splits: Splits | None) -> Mapping[str, Indices]:
    """The splits by name, those without any image left out."""
    named = dataset.given
    if splits is not None:
        named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: part for name, part in named.items() if len(part)}


def _imbalance(counts: Indices) -> float:
    present = counts[counts > 0]
    return float(present.max() / present.min()) if len(present) else 1.0


def _named(dataset: Dataset, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[str, ...]:
    return tuple(dataset.labels.classes[number] for number in np.flatnonzero(chosen))


def _missing(dataset: Dataset, counts: Mapping[str, Indices]) -> dict[str, tuple[str, ...]]:
    everywhere = counts["all"]
    lacking = {name: _named(dataset, (count == 0) & (everywhere > 0)) for name, count in counts.items()}
    return {name: classes for name, classes in lacking.items() if classes}


def _sizes(seen: Survey) -> Sizes:
    middle = np.sort(seen.sizes, axis=0)[len(seen.sizes) // 2]
    height, width = np.stack([seen.sizes.min(0), middle, seen.sizes.max(0)], 1).tolist()
    return Sizes(tuple(height), tuple(width), len(np.unique(seen.sizes, axis=0)))


def _statistics(seen: Survey, part: Indices) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Channels, mean and standard deviation of a split's values, each image reduced and weighing the same."""
    rows = np.isin(seen.usable, part)
    channels = 3 if seen.color.any() else 1
    mean = seen.means[rows, :channels].mean(0, dtype=np.float64)
    variance = seen.squares[rows, :channels].mean(0, dtype=np.float64) - mean**2
    return channels, tuple(mean.tolist()), tuple(np.sqrt(np.maximum(0, variance)).tolist())
