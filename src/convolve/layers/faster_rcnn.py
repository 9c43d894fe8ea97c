"""The head of Faster R-CNN: a network proposes regions, and a second stage classifies them.

Ren, He, Girshick, Sun 2015, "Faster R-CNN: towards real-time object detection with region proposal networks", section
3; the steps are in `layers.region_proposals` and `layers.region_classifier`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.anchors import fit_anchors
from convolve.layers.box_coding import clip_boxes
from convolve.layers.box_head import Candidates, Maps
from convolve.layers.description import Series
from convolve.layers.feature_pyramid import FeaturePyramid
from convolve.layers.initializers import gaussian
from convolve.layers.region_classifier import RegionClassifier
from convolve.layers.region_proposals import (
    POSITIVE,
    ProposalOptions,
    centered_anchors,
    match_anchors,
    propose,
    sample_labels,
    shift_anchors,
)
from convolve.targets import BoxTensors


@final
class ProposalLayers(nn.Module):
    """The region proposal network: a 3x3 convolution, and from it 1x1 ones with the scores and deltas of anchors.

    With ``pairs`` each anchor has a score of being background and one of being an object: first those of the background
    of all anchors, then the others; the difference counts. Else it has one score.
    """

    def __init__(self, channels: int, width: int, anchors: int, *, pairs: bool) -> None:
        super().__init__()
        self.pairs = pairs
        self.conv = gaussian(nn.Conv2d(channels, width, 3, padding=1), 0.01)
        self.relu = nn.ReLU(inplace=True)
        self.scores = gaussian(nn.Conv2d(width, anchors * (1 + pairs), 1), 0.01)
        self.deltas = gaussian(nn.Conv2d(width, 4 * anchors, 1), 0.01)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) to scores (N, A or 2 A, H, W) and deltas (N, 4 A, H, W)."""
        maps = self.relu(self.conv(maps))
        return self.scores(maps), self.deltas(maps)

    def at(self, maps: Tensor, cells: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (S,) and deltas (S, 4) of single ``anchors`` (S,) at ``cells`` (S,), counted through all rows of all
        images, in float32. Where a loss is of few, this is the shorter way back: no other has a gradient.
        """
        count, channels, height, width = maps.shape
        image, row, column = cells // (height * width), cells // width % height, cells % width
        near = torch.arange(-1, 2, device=cells.device)
        rows, columns = row[:, None, None] + near[:, None], column[:, None, None] + near
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        indices = (image[:, None, None] * height + rows) * width + columns
        table = maps.permute(0, 2, 3, 1).reshape(count * height * width, channels)
        patches = (table[indices] * inside[..., None]).permute(0, 3, 1, 2)
        features = self.relu(F.conv2d(patches, self.conv.weight, self.conv.bias))
        scores, deltas = self.rows(self.scores(features), self.deltas(features))
        own = torch.arange(len(cells), device=cells.device)
        return scores[own, anchors], deltas[own, anchors]

    def rows(self, scores: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor]:
        """The same as (N, H * W * A) and (N, H * W * A, 4), in float32: cell by cell, row after row."""
        scores, deltas = scores.float(), deltas.float()
        if self.pairs:
            nothing, objects = scores.chunk(2, 1)
            scores = objects - nothing
        return scores.permute(0, 2, 3, 1).flatten(1), torch.unflatten(deltas.permute(0, 2, 3, 1).flatten(1), 1, (-1, 4))

    def describe(self) -> Series:
        """Its layers, the outputs one after the other."""
        return Series(("conv", "relu", "scores", "deltas"))


@final
class SeparateProposals(nn.Module):
    """A proposal network with stages of its own, which alternating training has beside the detector for a while: copies
    that do not learn. ``step``, from 1, is the step that this training is in.
    """

    step: Tensor

    def __init__(
        self, stages: nn.ModuleDict, inputs: Sequence[str], pyramid: FeaturePyramid | None, layers: ProposalLayers
    ) -> None:
        super().__init__()
        self.stages, self.pyramid, self.layers = copy.deepcopy(stages), copy.deepcopy(pyramid), copy.deepcopy(layers)
        self.inputs = tuple(inputs)
        self.register_buffer("step", torch.ones((), dtype=torch.int64))
        self.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Maps:
        """(N, C, H, W) images to maps, scores and deltas, as they leave a `TwoStageHead`."""
        maps: dict[str, Tensor] = {}
        for name, stage in self.stages.items():
            images = maps[name] = stage(images)
        read = [maps[name] for name in self.inputs]
        levels: list[Tensor] = self.pyramid(read) if self.pyramid else read
        return (*levels, *(values for level in levels for values in self.layers(level)))

    @torch.no_grad()
    def exchange(self, stages: nn.ModuleDict, pyramid: FeaturePyramid | None, layers: ProposalLayers) -> None:
        """Give these parts of a network the weights that are here, and take theirs."""
        for own, other in ((self.stages, stages), (self.pyramid, pyramid), (self.layers, layers)):
            if own is not None and other is not None:
                for here, there in zip(own.state_dict().values(), other.state_dict().values(), strict=True):
                    taken = there.clone()
                    there.copy_(here)
                    here.copy_(taken)


@final
class TwoStageHead(nn.Module):
    """Maps of stages to proposed regions, their classes and boxes.

    Regions are proposed on the maps that the ``pyramid`` makes of them, or on themselves without one, and pooled from
    the first of these, one for each of the ``classifier.pool.strides``. ``anchors`` (L, A, 4) are those of the first
    cell of each, and ``strides`` (L,) theirs. What leaves the head are these maps, then of each the scores and the
    deltas of its anchors; `decode` and `loss` run the second stage, in the caller's number format. The scores and
    deltas have no gradient: those few that learn are computed again in the loss, which is most of the way back saved.

    The loss adds its four parts. Each is a mean over what was sampled in all images of a batch; without a generator the
    same is sampled each time. In alternating training (`tasks.detect.alternating_training`) there is a ``separate``
    proposal network.
    """

    anchors_at_cell: Tensor

    def __init__(
        self,
        pyramid: FeaturePyramid | None,
        proposals: ProposalLayers,
        classifier: RegionClassifier,
        anchors: Tensor,
        strides: tuple[int, ...],
        options: ProposalOptions,
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.proposals = proposals
        self.classifier = classifier
        self.strides = strides
        self.options = options
        self.whole = False
        self.separate: SeparateProposals | None = None
        self.register_buffer("anchors_at_cell", anchors)

    @property
    def anchors(self) -> Tensor:
        """(L, A, 2) their widths and heights."""
        return self.anchors_at_cell[..., 2:] - self.anchors_at_cell[..., :2] + self.options.coder.extra

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Maps:
        """The stages' maps, fine to coarse, to maps, scores and deltas."""
        del size
        levels: list[Tensor] = self.pyramid(maps) if self.pyramid else maps
        if self.whole:
            self._classify_anything(levels[0])
        with torch.no_grad():
            found = [values for level in levels for values in self.proposals(level)]
        return (*levels, *found)

    def compute_all(self) -> None:
        """From now on `forward` runs the second stage too, for as many regions as an image has, so that its layers are
        seen and counted; what they give is thrown away.
        """
        self.whole = True

    def propose(self, outputs: Maps, size: tuple[int, int], counts: tuple[int, int]) -> list[Tensor]:
        """The regions of each image of a ``size`` (height, width), (K, 4), the best first; see `propose`."""
        with torch.autocast(outputs[0].device.type, enabled=False):
            values, anchors = outputs[len(self.strides) :], self._anchors(outputs)
            rows = [self.proposals.rows(*pair) for pair in zip(values[::2], values[1::2], strict=True)]
            return [
                propose([s[n] for s, _ in rows], [d[n] for _, d in rows], anchors, size, self.options, counts)
                for n in range(len(outputs[0]))
            ]

    def decode(self, outputs: Maps, size: tuple[int, int]) -> Candidates:
        """A box for each class of each region; images with fewer regions than others are filled up with scores of 0."""
        regions = self.propose(outputs, size, self.options.testing)
        found = self.classifier(self._pooled(outputs), _with_images(regions))
        with torch.autocast(outputs[0].device.type, enabled=False):
            boxes, scores = self.classifier.decode(found, torch.cat(regions))
            counts = [len(each) for each in regions]
            boxes, scores = (
                nn.utils.rnn.pad_sequence(list(each.split_with_sizes(counts)), batch_first=True)
                for each in (clip_boxes(boxes, size), scores)
            )
            return Candidates(boxes, scores)

    def loss(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """`loss`, and its parts: `rpn_class` and `rpn_box` of the proposals, `class` and `box` of the regions."""
        regions = self.propose(outputs, size, self.options.training)
        classified = self.region_losses(outputs, targets, regions, random)
        parts = self.proposal_losses(outputs, targets, size, random) | classified
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def region_losses(
        self, outputs: Maps, targets: BoxTensors, regions: Sequence[Tensor], random: torch.Generator | None
    ) -> dict[str, Tensor]:
        """The part of the second stage: `class` and `box` of some of the ``regions`` (K, 4) of each image."""
        corners, classes = self._corners(outputs, targets), _split(targets.classes, targets, outputs)
        sampled = [self.classifier.sample(*each, random) for each in zip(regions, corners, classes, strict=True)]
        boxes, labels, deltas = zip(*sampled, strict=True)
        found = self.classifier(self._pooled(outputs), _with_images(boxes))
        with torch.autocast(outputs[0].device.type, enabled=False):
            return self.classifier.losses(found, torch.cat(labels), torch.cat(deltas))

    def proposal_losses(
        self, outputs: Maps, targets: BoxTensors, size: tuple[int, int], random: torch.Generator | None
    ) -> dict[str, Tensor]:
        """The part of the proposals: `rpn_class` and `rpn_box` of some of the anchors."""
        images, rows, objects, goals = self._sample_anchors(outputs, self._corners(outputs, targets), size, random)
        scores, deltas = self._values_at(outputs, images, rows)
        with torch.autocast(scores.device.type, enabled=False):
            entropy = F.binary_cross_entropy_with_logits(scores, objects.float(), reduction="sum")
            errors = F.smooth_l1_loss(deltas[objects], goals[objects], reduction="sum", beta=self.options.beta)
        count = max(len(rows), 1)
        return {"rpn_class": entropy / count, "rpn_box": errors / count}

    def fit_anchors(self, sides: Tensor, seed: int) -> None:
        """k-means, as many as there are; the smallest go to the finest map. Nothing happens without any sides but 0."""
        sides = sides[(sides > 0).all(1)]
        if len(sides):
            levels, count = self.anchors_at_cell.shape[:2]
            found = fit_anchors(sides, levels * count, seed)
            found = found[found.prod(1).argsort()].view(levels, count, 2)
            anchors = centered_anchors(found).to(self.anchors_at_cell)
            self.anchors_at_cell.copy_(_last_pixels(anchors, self.options.coder.extra))

    def describe(self) -> Series:
        """Its layers."""
        parts = ("proposals", "classifier")
        return Series(("pyramid", *parts) if self.pyramid else parts)

    def _corners(self, outputs: Maps, targets: BoxTensors) -> list[Tensor]:
        """(M, 4) each image's boxes, of which right and bottom are the last pixels where the coder has it so."""
        return [_last_pixels(each, self.options.coder.extra) for each in _split(targets.boxes, targets, outputs)]

    def _pooled(self, outputs: Maps) -> Sequence[Tensor]:
        return outputs[: len(self.classifier.pool.strides)]

    def _anchors(self, outputs: Maps) -> list[Tensor]:
        """(B, 4) the anchors of each map."""
        shapes = [(maps.shape[2], maps.shape[3]) for maps in outputs[: len(self.strides)]]
        every = zip(self.anchors_at_cell.float(), shapes, self.strides, strict=True)
        return [shift_anchors(*each) for each in every]

    def _sample_anchors(
        self, outputs: Maps, targets: Sequence[Tensor], size: tuple[int, int], random: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Those that learn, of all images: the image's index and the row among its anchors (S,), whether it is an
        object's (S,), and the deltas to that (S, 4), which mean nothing for others.
        """
        anchors, options = torch.cat(self._anchors(outputs)), self.options
        parts = []
        for image, boxes in enumerate(targets):
            matches = match_anchors(anchors, boxes, size, options)
            rows = torch.cat(sample_labels(matches.labels, options.samples, options.fraction, random))
            goals = options.coder.encode(anchors[rows], boxes[matches.targets[rows]] if len(boxes) else anchors[rows])
            parts.append((torch.full_like(rows, image), rows, matches.labels[rows] == POSITIVE, goals))
        images, rows, objects, deltas = (torch.cat(each) for each in zip(*parts, strict=True))
        return images, rows, objects, deltas

    def _values_at(self, outputs: Maps, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (S,) and deltas (S, 4) of these anchors, with gradients."""
        found, order, start = [], [], 0
        for maps, anchors in zip(outputs, self._anchors(outputs), strict=False):
            own = ((rows >= start) & (rows < start + len(anchors))).nonzero()[:, 0]
            row, count = rows[own] - start, self.anchors_at_cell.shape[1]
            cells = images[own] * (len(anchors) // count) + row // count
            found.append(self.proposals.at(maps, cells, row % count))
            order.append(own)
            start += len(anchors)
        back = torch.cat(order).argsort()
        scores, deltas = (torch.cat(parts)[back] for parts in zip(*found, strict=True))
        return scores, deltas

    def _classify_anything(self, maps: Tensor) -> None:
        pool, count = self.classifier.pool, len(maps) * self.options.testing[1]
        cell = maps[:1, :, :1, :1]
        self.classifier.outputs(cell.expand(-1, -1, pool.side, pool.side).repeat(count, 1, 1, 1))


def _with_images(regions: Sequence[Tensor]) -> Tensor:
    """Boxes (K, 4) of each image to rows (K, 5): the image's index, and the box."""
    boxes = torch.cat(list(regions))
    counts = torch.tensor([len(each) for each in regions], device=boxes.device)
    images = torch.arange(len(regions), device=boxes.device).repeat_interleave(counts)
    return torch.cat((images[:, None].to(boxes), boxes), 1)


def _split(values: Tensor, targets: BoxTensors, outputs: Maps) -> list[Tensor]:
    counts = torch.bincount(targets.image, minlength=len(outputs[0])).tolist()
    return list(values.split_with_sizes(counts))


def _last_pixels(boxes: Tensor, extra: float) -> Tensor:
    """Boxes (..., 4) of edges to boxes of which right and bottom are the last pixels, where ``extra`` is 1."""
    return boxes - boxes.new_tensor((0.0, 0.0, extra, extra)) if extra else boxes
