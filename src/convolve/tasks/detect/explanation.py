"""What of a detection is explained: the score of what is found at a box.

Petsiuk, Jain, Manjunatha, Morariu, Mehra, Ordonez, Saenko 2021, "Black-box explanation of object detectors via
saliency maps" (D-RISE), equation 3: of all boxes that a network gives out, the one that agrees best with a detection.

Deviations: agreement is the overlap times the score of the detection's own class, which is the same for a vector of
classes of which one is 1; the objectness is part of that score. For methods that take gradients the overlap is a
constant: what is explained is the score of the box, not its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.class_colors import class_color
from convolve.datasets.proposed_boxes import pad_regions
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.layers.box_head import BoxHead, Maps
from convolve.layers.overlaps import box_iou
from convolve.tasks.detect.task import Detect
from convolve.values import Flags, Floats, Indices, Preprocessing

_NOTHING = "no object"
_NEAREST = 16  # proposals around a detection


@dataclass(frozen=True, eq=False)
class DetectionScore:
    """Of each image the greatest product of the score of the class index in ``classes`` (N,) and the overlap with its
    box in ``boxes`` (N, 4), over all that the ``head`` makes of the outputs for an input of a ``size`` (height, width)
    and, where it scores such, of the ``proposals`` (N, R, 4).
    """

    head: BoxHead
    size: tuple[int, int]
    boxes: Tensor
    classes: Tensor
    proposals: Tensor | None = None

    @property
    def regions(self) -> Tensor:
        """(N, H, W) the pixels inside of the boxes."""
        return box_pixels(self.boxes, self.size)

    def __len__(self) -> int:
        return len(self.classes)

    def __call__(self, outputs: Maps) -> Tensor:
        """(N,) numbers from 0 to 1."""
        maps = outputs if self.proposals is None else (*outputs, self.proposals)
        found = self.head.decode(maps, self.size)
        images = torch.arange(len(self.classes), device=found.scores.device)
        classes = self.classes.to(images.device)
        scores = found.scores[images, :, classes]
        boxes = found.boxes if found.boxes.dim() == 3 else found.boxes[images, :, classes]
        overlap = box_iou(self.boxes.to(scores)[:, None], boxes.detach())
        return (scores * overlap).amax(1)

    def take(self, indices: Tensor) -> DetectionScore:
        """The target of some of the images."""
        rows = indices.to(self.classes.device)
        proposals = None if self.proposals is None else self.proposals[rows]
        return DetectionScore(self.head, self.size, self.boxes[rows], self.classes[rows], proposals)


def explanation_targets(
    task: Detect, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
) -> ExplanationTargets:
    """The best detection of each image, or its best one of each of the ``classes`` (indices).

    ``inputs`` are (N, C, H, W). Without a detection there is nothing to explain. Regions are proposed in the inputs.
    """
    del sizes
    proposals = _propose(task, inputs, preprocessing)
    with torch.inference_mode():
        found = task.predict(inputs, proposals)
    size = inputs.shape[2], inputs.shape[3]
    best = found[:, 0]
    columns = [_best_of_class(found, index) for index in classes] or [best]
    boxes, scores = torch.stack([column[:, :4] for column in columns], 1), torch.stack([c[:, 4] for c in columns], 1)
    kinds = torch.stack([column[:, 5].long() for column in columns], 1)
    present = scores > 0
    names = tuple(
        tuple(task.classes[index] if there else _NOTHING for index, there in zip(row, flags, strict=True))
        for row, flags in zip(kinds.tolist(), present.tolist(), strict=True)
    )
    regions: Flags = torch.stack([box_pixels(boxes[:, k], size) for k in range(boxes.shape[1])], 1).numpy()
    head = cast(BoxHead, task.network.head)
    return ExplanationTargets(
        predictions=tuple(task.classes[int(row[5])] if row[4] > 0 else _NOTHING for row in best),
        confidences=_floats(best[:, 4]),
        names=names,
        scores=_floats(scores),
        targets=tuple(
            DetectionScore(head, size, own, kinds[:, column].to(inputs.device), _nearest(proposals, own))
            for column, own in enumerate(boxes.to(inputs.device).unbind(1))
        ),
        regions=regions,
        relation="most confidently",
        colors={name: class_color(index) for index, name in enumerate(task.classes)},
    )


def _propose(task: Detect, inputs: Tensor, preprocessing: Preprocessing) -> Tensor | None:
    """(N, R, 4) regions of the inputs (N, C, H, W), for a network that scores such."""
    if task.proposals is None:
        return None
    mean, std = (inputs.new_tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    pixels = (255 * (inputs * std + mean)).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
    found = pad_regions([task.proposals.search(image).astype(np.float32) for image in pixels])
    return torch.from_numpy(found).to(inputs.device)


def _nearest(proposals: Tensor | None, boxes: Tensor) -> Tensor | None:
    """(N, R, 4) those of the proposals that overlap the boxes (N, 4) most, so that few are scored again and again."""
    if proposals is None:
        return None
    best = box_iou(boxes[:, None], proposals).topk(min(_NEAREST, proposals.shape[1]), 1).indices
    return proposals.gather(1, best[..., None].expand(-1, -1, 4))


def box_pixels(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, 4) boxes to (N, H, W), whether the center of a pixel is inside."""
    rows, columns = (torch.arange(side, device=boxes.device) + 0.5 for side in size)
    left, top, right, bottom = boxes[:, :, None].unbind(1)
    across, down = (columns >= left) & (columns < right), (rows >= top) & (rows < bottom)
    return down[:, :, None] & across[:, None, :]


def _best_of_class(found: Tensor, index: int) -> Tensor:
    """(N, K, 6) detections to (N, 6), the best of a class; a score of 0 where there is none, but of that class."""
    scores = found[..., 4] * (found[..., 5] == index)
    score, best = scores.max(1)
    chosen = found[torch.arange(len(found)), best].clone()
    chosen[:, :4] *= (score > 0)[:, None]
    chosen[:, 4], chosen[:, 5] = score, index
    return chosen


def _floats(values: Tensor) -> Floats:
    return np.asarray(values.numpy(), dtype=np.float32)
