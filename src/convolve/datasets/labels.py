"""Labels: which class, or which classes, each image belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.targets import ArrayTargets
from convolve.values import Flags, GroundTruthFindings, Indices, Pixels, Placement, Targets


@final
class Labels:
    """A `GroundTruth`: ``values`` (N,) int64 with one class index for each image; or, if ``multi_label``, (N, C) uint8
    flags, where an image may have several labels or none.

    It ``covers`` all images, since to have none of several labels is an answer too; and there are no ``findings``:
    labels have been read already, and images are all there is to count.
    """

    def __init__(self, values: npt.NDArray[np.int64] | npt.NDArray[np.uint8], classes: tuple[str, ...]) -> None:
        """Raises `DataError` for a value outside of the classes."""
        self.values, self.classes = values, classes
        self.multi_label = values.ndim == 2
        self.covers: Flags = np.ones(len(values), dtype=bool)
        self.findings = GroundTruthFindings()
        if self.multi_label:
            if values.shape[1] != len(classes):
                raise DataError(f"Labels have {values.shape[1]} columns for {len(classes)} classes.")
        elif len(values) and not 0 <= int(values.min()) <= int(values.max()) < len(classes):
            raise DataError(f"A label lies outside the {len(classes)} classes; labels count from 0.")

    def __len__(self) -> int:
        return len(self.values)

    def counts(self) -> Indices:
        """(C,) how many images have each label."""
        if self.multi_label:
            return np.asarray(self.values.sum(0), dtype=np.int64)
        return np.bincount(self.values, minlength=len(self.classes)).astype(np.int64)

    def presence(self) -> Flags:
        """(N, C) which labels each image has."""
        if self.multi_label:
            return np.asarray(self.values != 0)
        flags = np.zeros((len(self), len(self.classes)), dtype=bool)
        flags[np.arange(len(self)), self.values] = True
        return flags

    def digest(self, index: int) -> bytes:
        """The label or the flags, as text."""
        return repr(self.values[index].tolist()).encode()

    def take(self, indices: Indices) -> Labels:
        """The labels of some images, in the order asked."""
        return Labels(self.values[indices], self.classes)

    def with_classes(self, names: Sequence[str]) -> Labels:
        """The same labels among the classes ``names``. Raises `DataError` for a class that is not one of these, even if
        no image has it.
        """
        unknown = [name for name in self.classes if name not in names]
        if unknown:
            raise DataError(f"The class '{unknown[0]}' is not one of {', '.join(names)}; rename or remove it.")
        positions = np.array([names.index(name) for name in self.classes], dtype=np.int64)
        if not self.multi_label:
            return Labels(positions[self.values], tuple(names))
        values = np.zeros((len(self), len(names)), dtype=np.uint8)
        values[:, positions] = self.values
        return Labels(values, tuple(names))

    def as_multi_label(self) -> Labels:
        """The same labels as flags."""
        return self if self.multi_label else Labels(self.presence().astype(np.uint8), self.classes)

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:  # noqa: ARG002 - labels do not move
        """(M,) int64 class indices or (M, C) uint8 flags, wherever the pixels are moved."""
        return ArrayTargets(self.values[indices])

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """The images as they are, for a label has no position in them; and the name of each one's class, or several
        joined by plus signs.
        """
        values = cast(ArrayTargets, targets).values
        found = [np.flatnonzero(value) if self.multi_label else [int(value)] for value in values]
        return images, [" + ".join(self.classes[index] for index in indices) for indices in found]


def as_labels(lists: Sequence[Sequence[str]], classes: Sequence[str], multi_label: bool) -> Labels:
    """Labels from the names that each image has, one or, if ``multi_label``, any number of them."""
    indices = {label: index for index, label in enumerate(classes)}
    found = [[indices[normalize("NFC", label)] for label in labels] for labels in lists]
    if not multi_label:
        return Labels(np.array([each[0] for each in found], dtype=np.int64), tuple(classes))
    flags = np.zeros((len(lists), len(classes)), dtype=np.uint8)
    for row, each in zip(flags, found, strict=True):
        row[each] = 1
    return Labels(flags, tuple(classes))
