"""The ground truth of a task whose targets are the images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from convolve.targets import ArrayTargets
from convolve.values import Flags, GroundTruthFindings, Images, Indices, Pixels, Placement, Targets


@final
@dataclass(frozen=True, eq=False)
class OwnImages:
    """Nothing is said of ``count`` images beyond what they show: their targets are empty, and have no classes. They are
    the ``images``, where these are not parts of images.
    """

    count: int
    images: Images | None = None
    classes = ()
    findings = GroundTruthFindings()

    @property
    def covers(self) -> Flags:
        """All images."""
        return np.ones(self.count, dtype=bool)

    def __len__(self) -> int:
        return self.count

    def presence(self) -> Flags:
        """(N, 0) no classes."""
        return np.zeros((self.count, 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        """Nothing, as an image's own digest says all."""
        del index
        return b""

    def take(self, indices: Indices) -> OwnImages:
        """Those of some images."""
        return OwnImages(len(indices), self.images and self.images.take(indices))

    def with_classes(self, names: Sequence[str]) -> OwnImages:
        """Itself."""
        del names
        return self

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        """(N, 0) nothing."""
        del placement
        return ArrayTargets(np.empty((len(indices), 0), np.float32))

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """The images as they are."""
        return images, [""] * len(targets)
