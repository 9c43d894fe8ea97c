"""Regions in which objects may be, proposed before anything is learned; they follow the pixels as boxes do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, final, get_args

import numpy as np

from convolve.choices import Proposals
from convolve.datasets.boxes import Boxes, boxes_in_input
from convolve.datasets.mosaic import PARTS
from convolve.datasets.proposals import read_proposals, sliding_windows
from convolve.datasets.selective_search import BoxArray, selective_search
from convolve.errors import ImageError
from convolve.progress import Listener, Pace
from convolve.targets import BoxTargets
from convolve.values import Floats, Images, Indices, Pixels, Placement

MOST_REGIONS = 2000


@final
@dataclass(frozen=True)
class ProposalRule:
    """How regions are proposed, by selective search (`fast` or `quality`) or as sliding `windows`; ``most`` of them are
    used of an image, the best.
    """

    kind: Proposals = "fast"
    most: int = MOST_REGIONS

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ProposalRule:
        """That of a run. Raises `ValueError` for what no run has."""
        kind, most = state["kind"], state["most"]
        if kind not in get_args(Proposals) or type(most) is not int or most < 1:
            raise ValueError("proposals are none that it can have")
        return cls(kind, most)

    def propose(self, images: Images) -> Iterator[BoxArray]:
        """(K, 4) left, top, right, bottom in pixels of each image as it is stored, the best first; those of selective
        search are stored for later. Raises `ImageError`.
        """
        if self.kind == "windows":
            yield from (sliding_windows(images.size(index))[: self.most] for index in range(len(images)))
            return
        yield from (boxes[: self.most] for boxes in read_proposals(images, self.kind))

    def search(self, pixels: Pixels) -> BoxArray:
        """The same in an image (H, W, C) that is in memory."""
        if self.kind == "windows":
            return sliding_windows((pixels.shape[0], pixels.shape[1]))[: self.most]
        return selective_search(pixels, self.kind)[: self.most]


@final
@dataclass(frozen=True, eq=False)
class ProposedBoxes:
    """A `TargetSource`: the boxes of images, and the regions that are proposed for these."""

    boxes: Boxes
    images: Images
    rule: ProposalRule

    def targets(self, indices: Indices, placement: Placement) -> BoxTargets:
        """The boxes and the regions in pixels of the input, both by the same rules. An image that cannot be read has
        no regions.
        """
        found = self.boxes.targets(indices, placement)
        regions = [self.propose(index) for index in indices.tolist()]
        image = np.repeat(np.arange(len(indices)), list(map(len, regions)))
        scales = placement.sizes[:, ::-1] / np.maximum(self.boxes.sizes[indices][:, ::-1], 1)
        edges, remains = boxes_in_input(np.concatenate(regions), image, scales, placement, self.boxes.min_visible)
        parts = 1 if placement.regions is None else PARTS
        owner = image[remains] // parts
        return replace(found, regions=pad_regions([edges[owner == example] for example in range(len(found))]))

    def propose(self, index: int) -> BoxArray:
        """The regions of an image, in its own pixels."""
        try:
            return next(self.rule.propose(self.images.take(np.array([index]))))
        except ImageError:
            return np.zeros((0, 4))

    def precompute(self, indices: Indices, listener: Listener) -> None:
        """Propose the regions of some images, so that they are found in the cache later."""
        pace = Pace(listener, "proposals", len(indices), "images")
        with suppress(ImageError):  # which is left out, as elsewhere; the rest is proposed when it is needed
            for done, _ in enumerate(self.rule.propose(self.images.take(indices)), 1):
                pace(done)


def pad_regions(regions: Sequence[Floats]) -> Floats:
    """(N, R, 4) the regions of N images, of which the last ones of an image that has fewer have no area."""
    padded = np.zeros((len(regions), max(map(len, regions), default=0), 4), dtype=np.float32)
    for row, own in zip(padded, regions, strict=True):
        row[: len(own)] = own
    return padded
