"""What of a segmentation is explained: a class's score over the pixels that the network predicts to be of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.masks import count_pixels, warp_mask
from convolve.datasets.preprocess import fit_matrix
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.score_targets import RegionScore
from convolve.tasks.segment.task import Segment
from convolve.values import IGNORE, Flags, Floats, Indices, Pixels, Preprocessing


def explanation_targets(
    task: Segment, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
) -> ExplanationTargets:
    """The score of each of ``classes`` (indices), or of the class of most pixels, over the pixels predicted as such.

    ``inputs`` are (N, C, H, W), and ``sizes`` (N, 2) the height and width of the images that they come from: padding by
    `letterbox` belongs to no region. A region's score is its mean probability, 0 where it has no pixels.
    """
    with torch.inference_mode():
        highest, predicted = task.probabilities(inputs).max(1)
    inside = np.stack([_inside(height, width, preprocessing) for height, width in sizes.tolist()])
    masks = np.where(inside, predicted.cpu().numpy(), IGNORE).astype(np.uint8)
    most = np.array([count_pixels(mask, len(task.classes)).argmax() for mask in masks], dtype=np.int64)
    explained = np.tile(np.array(classes, dtype=np.int64), (len(masks), 1)) if classes else most[:, None]
    regions = masks[:, None] == explained[..., None, None]
    confidence = highest.cpu().numpy()
    return ExplanationTargets(
        predictions=tuple(task.classes[index] for index in most.tolist()),
        confidences=_means(confidence, masks == most[:, None, None]),
        names=tuple(tuple(task.classes[index] for index in row) for row in explained.tolist()),
        scores=_means(confidence[:, None], regions),
        targets=tuple(
            RegionScore(_on_device(explained[:, column], inputs), _on_device(regions[:, column], inputs))
            for column in range(explained.shape[1])
        ),
        regions=regions,
        relation="mostly",
        colors=dict(zip(task.classes, task.colors, strict=False)),
    )


def _on_device(values: Indices | Flags, inputs: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(inputs.device)


def _inside(height: int, width: int, preprocessing: Preprocessing) -> Flags:
    """(H, W) where an image of that size lies in the network's input."""
    blank: Pixels = np.zeros((height, width), np.uint8)
    return np.asarray(warp_mask(blank, fit_matrix(height, width, preprocessing), preprocessing) != IGNORE)


def _means(values: Floats, regions: Flags) -> Floats:
    """The mean over the pixels of each region, 0 where it has none."""
    counts = regions.sum((-2, -1)).clip(min=1)
    return np.asarray((values * regions).sum((-2, -1)) / counts, dtype=np.float32)
