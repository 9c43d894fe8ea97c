"""Stereo pairs: the right image that belongs to each left one, and disparities to measure by where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, final

import numpy as np

from convolve.datasets.depth_maps import DepthFiles, DepthMaps
from convolve.datasets.images import ImageFiles
from convolve.datasets.parallel import in_order
from convolve.datasets.preprocess import resize_for_cache, warp
from convolve.errors import ImageError
from convolve.targets import ArrayTargets
from convolve.values import Flags, Floats, GroundTruthFindings, Indices, Pixels, Placement, Targets

STEPS = 256.0
"""Whole numbers per pixel of disparity in 16-bit files, as KITTI has them."""


@final
@dataclass(frozen=True, eq=False)
class StereoPairs:
    """A `GroundTruth`: the ``rights`` of N ``lefts``, both rectified and of one size. The file of a left image's
    ``disparities`` is None where none is known; whole numbers in it are divided by `STEPS`.
    """

    lefts: ImageFiles
    rights: ImageFiles
    disparities: tuple[str | None, ...]
    classes = ()

    def __len__(self) -> int:
        return len(self.rights)

    @property
    def covers(self) -> Flags:
        """All images."""
        return np.ones(len(self), dtype=bool)

    @property
    def findings(self) -> GroundTruthFindings:
        """The pairs that cannot be read. Reads all that is said of the left images."""
        errors = in_order(self._error, range(len(self)))
        return GroundTruthFindings(failed={index: error for index, error in enumerate(errors) if error})

    def presence(self) -> Flags:
        """(N, 0) no classes."""
        return np.zeros((len(self), 0), dtype=bool)

    def read_right(self, index: int) -> Pixels:
        """(H, W, 1 or 3). Raises `ImageError`, also for another size than that of the left image."""
        right = self.rights.read(index)
        height, width = self.lefts.size(index)
        if right.shape[:2] != (height, width):
            raise ImageError(
                f"{self.rights.name(index)} has {right.shape[1]}x{right.shape[0]} pixels, and its left image "
                f"{width}x{height}; rectify them to one size."
            )
        return right

    def read_disparity(self, index: int) -> Floats | None:
        """(H, W) pixels to the left at which the right image shows what the left one does, 0 where unknown; None where
        there is no file. Raises `ImageError`.
        """
        file = self._disparity_file(index)
        return None if file is None else DepthMaps(file).read(0)

    def digest(self, index: int) -> bytes:
        """Those of the right image and of the disparities. Raises `ImageError`."""
        file = self._disparity_file(index)
        return self.rights.digest(index) + (file.digest(0) if file else b"")

    def take(self, indices: Indices) -> StereoPairs:
        """Some of the pairs, in the order asked."""
        names = tuple(self.disparities[index] for index in indices)
        return StereoPairs(self.lefts.take(indices), self.rights.take(indices), names)

    def with_classes(self, names: Sequence[str]) -> StereoPairs:
        """Itself."""
        del names
        return self

    def targets(self, indices: Indices, placement: Placement) -> ArrayTargets:
        """(M, height, width, C) uint8: the right images, brought to the input as their left ones are."""
        preprocessing, found = placement.preprocessing, list[Pixels]()
        for index, matrix, size in zip(indices.tolist(), placement.matrices, placement.sizes, strict=True):
            small = resize_for_cache(self.read_right(index), preprocessing)
            scales = np.array([size[1] / small.shape[1], size[0] / small.shape[0], 1.0])
            found.append(warp([small], (matrix * scales)[None], preprocessing, reflect=False)[0])
        return ArrayTargets(np.stack(found))

    def draw(self, images: Pixels, targets: Targets) -> tuple[Pixels, list[str]]:
        """(N, H, W, 3) the left image in red over the right one in green and blue, as red and cyan glasses show it."""
        rights = cast(ArrayTargets, targets).values
        drawn = np.array(np.broadcast_to(rights, (*rights.shape[:3], 3)))
        drawn[..., 0] = images[..., 0]
        return drawn, [""] * len(images)

    def _disparity_file(self, index: int) -> DepthFiles | None:
        name = self.disparities[index]
        return None if name is None else DepthFiles(self.lefts.root, (name,), self.lefts.take(np.array([index])), STEPS)

    def _error(self, index: int) -> str:
        try:
            self.read_right(index)
            self.read_disparity(index)
        except ImageError as error:
            return str(error)
        return ""
