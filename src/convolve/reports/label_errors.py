"""The part of a page on labels that are likely wrong: the images, most certain first, and each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.errors import ImageError
from convolve.metrics.confusion import Fractions
from convolve.metrics.label_errors import LabelErrors
from convolve.metrics.ranking import nanmean
from convolve.reports.image_card import ImageTile
from convolve.reports.report import Section, format_count
from convolve.reports.sections import ClassColumn, class_section
from convolve.reports.thumbnails import thumbnail
from convolve.values import Images, Indices

_HOME = "convolve.reports"
_MOST_CARDS, _BYTES, _SIDE = 240, 6_000_000, 160
_PAIRS = 12
_THRESHOLD = "the mean probability that the networks give the class on the images labeled so"
_LISTED = "the fraction of the images labeled so that is listed here"
_ESTIMATED = "the fraction of the images labeled so that belongs to another class, as the confident joint estimates it"


@dataclass(frozen=True)
class LabelError:
    """An image whose label is likely wrong, the class ``suggested`` instead, the probability of each, and the
    ``margin``: that of the label less that of the other class.
    """

    image: str
    label: str
    suggested: str
    margin: float
    label_probability: float
    suggested_probability: float


@dataclass(frozen=True)
class ErrorCard:
    """An error with its image, a data URI."""

    error: LabelError
    image: str

    @property
    def tile(self) -> ImageTile:
        """The image as it is."""
        return ImageTile(self.error.image)


def label_error_sections(
    errors: Sequence[LabelError], images: Images, names: Sequence[str], labels: Indices, found: LabelErrors
) -> tuple[Section, ...]:
    """The ``errors`` that were ``found`` among ``labels`` (N,), with their ``images`` in the same order, at most 240
    and 6 MB of them; then a table of the classes ``names``.
    """
    pairs = Counter((error.label, error.suggested) for error in errors).most_common(_PAIRS)
    context = {
        "cards": tuple(_cards(errors, images)),
        "pairs": pairs,
        "errors": format_count(len(errors), "images"),
        "count": len(errors),
    }
    counts = np.bincount(labels, minlength=len(names)).astype(np.int64)
    listed = np.bincount(labels[found.indices], minlength=len(names))
    thresholds = np.where(np.isfinite(found.thresholds), found.thresholds, np.nan)
    columns = (
        _column("Threshold", thresholds, _THRESHOLD, counts),
        _column("Listed", _divide(listed, counts), _LISTED, counts),
        _column("Estimated", 1 - _divide(np.diagonal(found.joint), found.joint.sum(1)), _ESTIMATED, counts),
    )
    table = class_section(names, counts, "images", columns)
    return (
        Section("label-errors", "Likely label errors", (_HOME, "label_errors.html.j2"), context),
        replace(table, title="Labels by class", context={**table.context, "smallest": ""}),
    )


def _column(heading: str, values: Fractions, definition: str, counts: Indices) -> ClassColumn:
    weighted = float(np.nansum(values * counts) / max(counts.sum(), 1))
    return ClassColumn(heading, values, definition, nanmean(values), weighted)


def _divide(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> Fractions:
    """The fraction of each class; nan for one without images."""
    fractions: Fractions = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    return fractions


def _cards(errors: Sequence[LabelError], images: Images) -> Iterator[ErrorCard]:
    """The first that fit; an image that cannot be read any more is left out."""
    size = 0
    for index, error in enumerate(errors[:_MOST_CARDS]):
        with suppress(ImageError):
            image = thumbnail(images.read(index, at_least=_SIDE), _SIDE)
            size += len(image)
            if size > _BYTES:
                return
            yield ErrorCard(error, image)
