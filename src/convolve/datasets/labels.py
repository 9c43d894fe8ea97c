"""Labels: which class, or which classes, each image belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, final

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.targets import ArrayTargets
from convolve.values import Flags, GroundTruthFindings, Indices, Pixels, Placement, Targets


@final
@dataclass(frozen=True, eq=False)
class Labels:
    """A `GroundTruth`: ``values`` (N,) int64 with one class index for each image; or (N, C) uint8 flags, where an image
    may have several labels or none.

    Raises `DataError` for a value outside of the classes.
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.uint8]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.multi_label:
            if self.values.shape[1] != len(self.classes):
                raise DataError(f"Labels have {self.values.shape[1]} columns for {len(self.classes)} classes.")
        elif len(self.values) and not 0 <= int(self.values.min()) <= int(self.values.max()) < len(self.classes):
            raise DataError(f"A label lies outside the {len(self.classes)} classes; labels count from 0.")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels."""
        return self.values.ndim == 2

    @property
    def covers(self) -> Flags:
        """(N,) all of them: to have none of several labels is an answer too."""
        return np.ones(len(self), dtype=bool)

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

    def findings(self) -> GroundTruthFindings:
        """Nothing: labels have been read already, and images are all there is to count."""
        return GroundTruthFindings()

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

    def draw(self, images: Pixels, targets: Targets) -> Pixels:  # noqa: ARG002
        """The images as they are: a label has no position in them."""
        return images

    def describe(self, targets: Targets) -> list[str]:
        """The name of each image's class, or several joined by plus signs."""
        values = cast(ArrayTargets, targets).values
        found = [np.flatnonzero(value) if self.multi_label else [int(value)] for value in values]
        return [" + ".join(self.classes[index] for index in indices) for indices in found]
