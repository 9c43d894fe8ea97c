"""What the outputs for a batch of examples should be, in memory and as tensors on a device.

PyTorch is imported only to make tensors, so that looking at data starts fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from convolve.errors import DataError
from convolve.values import Flags, Floats, Indices

if TYPE_CHECKING:
    from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class ArrayTargets:
    """One row of ``values`` (N, …) for each example: a class index, flags, a mask, an image."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: str) -> Tensor:
        """(N, …) of the same type."""
        import torch

        return torch.from_numpy(self.values).to(device, non_blocking=True)


class BoxTensors(NamedTuple):
    """`BoxTargets` on a device without those that are ignored: (M, 4) float32, (M,) and (M,) int64; the regions
    (N, R, 4), where there are any.
    """

    boxes: Tensor
    classes: Tensor
    image: Tensor
    regions: Tensor | None = None


@final
@dataclass(frozen=True, eq=False)
class BoxTargets:
    """Ragged: M ``boxes`` (M, 4) of ``images`` images, none or many each, with their ``classes`` (M,) and the ``image``
    (M,) each belongs to, from 0, in ascending order.

    Boxes are left, top, right, bottom in the pixels of the network's input. Those that are ``ignored`` (M,), such as
    crowds, are neither learned from nor counted. The ``regions`` (images, R, 4) are where objects may be, for networks
    that score regions proposed outside of them; one without an area is none. Raises `DataError` for arrays that do not
    fit together.
    """

    boxes: Floats
    classes: Indices
    image: Indices
    images: int
    ignored: Flags
    regions: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        rows = (self.classes, self.image, self.ignored)
        if self.boxes.shape != (count, 4) or any(row.shape != (count,) for row in rows):
            raise DataError(f"{count} boxes need a class, an image and a flag each, and four edges.")
        if count and not (self.image[0] >= 0 and self.image[-1] < self.images and (np.diff(self.image) >= 0).all()):
            raise DataError(f"Boxes must be in the order of their images, which are 0 to {self.images - 1}.")
        if self.regions is not None and (self.regions.ndim != 3 or self.regions.shape[::2] != (self.images, 4)):
            raise DataError(f"Regions must be of {self.images} images, with four edges each.")

    def __len__(self) -> int:
        return self.images

    def to(self, device: str) -> BoxTensors:
        """Those to learn from."""
        import torch

        learned = ~self.ignored
        parts = (self.boxes[learned], self.classes[learned], self.image[learned])
        boxes, classes, image = (torch.from_numpy(part).to(device) for part in parts)
        regions = None if self.regions is None else torch.from_numpy(self.regions).to(device)
        return BoxTensors(boxes, classes, image, regions)


class PointTensors(NamedTuple):
    """`PointTargets` on a device: (N, P, 2) float32, and (N, P) whether a point is learned from."""

    points: Tensor
    labeled: Tensor


@final
@dataclass(frozen=True, eq=False)
class PointTargets:
    """The same P ``points`` (N, P, 2; x and y in pixels of the network's input) of each of N examples, their
    ``visibility`` (N, P): 0 not labeled, 1 hidden, 2 visible; and the ``lengths`` (N,) that errors are measured in, in
    the same pixels, nan where unknown. Raises `DataError` for arrays that do not fit together.
    """

    points: Floats
    visibility: Indices
    lengths: Floats

    def __post_init__(self) -> None:
        if self.points.shape != (*self.visibility.shape, 2) or self.lengths.shape != (len(self.visibility),):
            raise DataError(f"The points of {len(self.points)} examples do not fit to their visibility and lengths.")

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: str) -> PointTensors:
        """Those to learn from."""
        import torch

        points, labeled = torch.from_numpy(self.points), torch.from_numpy(self.visibility > 0)
        return PointTensors(points.to(device), labeled.to(device))
