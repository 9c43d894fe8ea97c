"""The head of a detection network that scores regions proposed outside of it: what is read of each region, the layers
that follow, and how they learn.

Girshick 2015, "Fast R-CNN", sections 2 and 3; for R-CNN and SPP-net, whose layers differ in what they read of a region
and in that support vector machines take the place of the last ones, see `layers.region_svms`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.box_coding import BoxCoder, clip_boxes
from convolve.layers.box_head import Candidates, Maps
from convolve.layers.description import Series
from convolve.layers.initializers import gaussian
from convolve.layers.region_classifier import DEVIATIONS, box_loss
from convolve.layers.region_sampling import SamplingRule
from convolve.layers.region_svms import RegionSvms
from convolve.targets import BoxTensors

CODER = BoxCoder(deviations=DEVIATIONS)
_AT_ONCE = 256  # regions in evaluation


class RegionReader(Protocol):
    """What a network reads of regions: a module without weights of its own."""

    def __call__(self, map_: Tensor, regions: Tensor, image: Tensor) -> Tensor:
        """Maps (N, C, H, W) and regions (M, 4), in pixels of the input, of the images ``image`` (M,) to (M, C, …)."""
        ...

    def cells(self, regions: Tensor) -> Tensor:
        """(M, …) numbers that are the same for regions of which the same is read."""
        ...

    def blank(self, map_: Tensor, count: int) -> Tensor:
        """Zeros of the shape of what is read of ``count`` regions of a map."""
        ...


class ScoredRegions(NamedTuple):
    """What the layers give for M regions: ``features`` (M, D), ``scores`` (M, 1 + C), background first, and ``deltas``
    (M, 1 + C, 4) or None.
    """

    features: Tensor
    scores: Tensor
    deltas: Tensor | None


@final
class RegionHead(nn.Module):
    """Layers over what a ``reader`` reads of each region, and a `BoxHead`.

    ``layers`` take that to (M, width) features, two dense layers these to scores of background and classes, and to
    boxes for each of them, as `CODER` has them, relative to the region.
    With ``svms`` there is no layer for boxes; once these are fitted, they score and move regions instead.

    Deviations: the authors divide by the deviation of each class in the training set, subtract its mean, and write
    both into the weights at the end; here the divisors are those that they later fixed for all classes. Learning rates
    are those of the training, where the authors double those of biases (`--bias-rate 2`).
    """

    def __init__(
        self, reader: RegionReader, layers: nn.Module, width: int, classes: int, sampling: SamplingRule, *, svms: bool
    ) -> None:
        super().__init__()
        self.reader = reader
        self.layers = layers
        self.scores = gaussian(nn.Linear(width, classes + 1), 0.01)
        self.deltas = None if svms else gaussian(nn.Linear(width, 4 * (classes + 1)), 0.001)
        self.svms = RegionSvms(width, classes) if svms else None
        self.sampling = sampling
        self.whole = False

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Maps:
        """The map that regions are read from, as it is."""
        del size
        if self.whole:
            read = self.reader.blank(maps[0], self.sampling.count * len(maps[0]))
            features = self.layers(read)
            self.scores(features)
            if self.deltas is not None:
                self.deltas(features)
        return (maps[0],)

    def compute_all(self) -> None:
        """From now on `forward` runs the layers for as many regions as an image has in training, so that they are seen
        and counted; what they give is thrown away.
        """
        self.whole = True

    def describe(self) -> Series:
        """Its layers, the outputs one after the other."""
        return Series(("layers", "scores") if self.deltas is None else ("layers", "scores", "deltas"))

    @property
    def anchors(self) -> Tensor | None:
        """None: boxes are relative to regions."""
        return None

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """Nothing."""
        del sides, seed

    def score_regions(self, map_: Tensor, regions: Tensor, image: Tensor) -> ScoredRegions:
        """What the layers give for regions (M, 4) of the images ``image`` (M,) of a map."""
        features = self.layers(self.reader(map_, regions, image))
        scores = self.scores(features)
        deltas = None if self.deltas is None else self.deltas(features).unflatten(1, (-1, 4)).float()
        return ScoredRegions(features.float(), scores.float(), deltas)

    def loss(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """`loss`, and its parts `classes`, the mean over the regions, and `box`, the sum over those of objects by the
        number of all. Without a generator the regions drawn are always the same.
        """
        del size
        map_, regions = outputs
        drawn = self.sampling.sample(regions, targets, random)
        if not len(drawn.labels):  # nothing is proposed
            nothing = 0.0 * self.scores.weight.sum()
            return {"loss": nothing, "classes": nothing} | ({} if self.deltas is None else {"box": nothing})
        found = self.score_regions(map_, drawn.regions, drawn.image)
        with torch.autocast(map_.device.type, enabled=False):
            classes = F.cross_entropy(found.scores, drawn.labels)
            if found.deltas is None:
                return {"loss": classes, "classes": classes}
            box = box_loss(found.deltas, drawn.labels, CODER.encode(drawn.regions, drawn.boxes))
        return {"loss": classes + box, "classes": classes, "box": box}

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """A box of each class for each region; those that are none have scores of 0."""
        map_, regions = outputs
        classes = self.scores.out_features - 1
        boxes, scores = (regions.new_zeros(*regions.shape[:2], classes, *last) for last in ((4,), ()))
        image, row = (regions[..., 2:] > regions[..., :2]).all(-1).nonzero(as_tuple=True)
        if len(image):
            found_boxes, found_scores = self._decode_regions(map_, regions[image, row], image)
            boxes = boxes.index_put((image, row), clip_boxes(found_boxes, size))
            scores = scores.index_put((image, row), found_scores)
        return Candidates(boxes, scores)

    def features(self, map_: Tensor, regions: Tensor, image: Tensor) -> ScoredRegions:
        """As `score_regions`, some at a time, and those of which the same is read only once."""
        if not len(regions):
            return ScoredRegions(map_.new_zeros(0, self.scores.in_features), map_.new_zeros(0, 0), None)
        cells = torch.cat([image[:, None], self.reader.cells(regions)], 1)
        _, same = torch.unique(cells, dim=0, return_inverse=True)
        order = torch.arange(len(same), device=same.device)
        first = order.new_zeros(int(same.max()) + 1).scatter_reduce(0, same, order, "amin", include_self=False)
        chunks = [first[start : start + _AT_ONCE] for start in range(0, len(first), _AT_ONCE)]
        parts = [self.score_regions(map_, regions[rows], image[rows]) for rows in chunks]
        features, scores = (torch.cat(column)[same] for column in zip(*(part[:2] for part in parts), strict=True))
        deltas = [part.deltas for part in parts if part.deltas is not None]
        return ScoredRegions(features, scores, torch.cat(deltas)[same] if deltas else None)

    def _decode_regions(self, map_: Tensor, regions: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (M, C, 4) and scores (M, C) of regions (M, 4)."""
        found = self.features(map_, regions, image)
        with torch.autocast(map_.device.type, enabled=False):
            if self.svms is not None and self.svms.fitted:
                return self.svms.move(found.features, regions), self.svms(found.features).sigmoid()
            scores = found.scores.softmax(1)[:, 1:]
            own = regions[:, None].expand(-1, scores.shape[1], -1)
            if found.deltas is None:
                return own, scores
            return CODER.decode(own, found.deltas[:, 1:]), scores
