"""What of a depth map is explained: the depth of a small window, in the center or where it is least or greatest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convolve.datasets.depth_maps import warp_depth
from convolve.datasets.preprocess import fit_matrix
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.score_targets import RegionScore
from convolve.tasks.depth.prediction import format_meters
from convolve.values import Flags, Floats, Indices, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.depth.task import Depth

_WINDOW = 1 / 8
"""Of the sides of the network's input: how large the window is."""


def explanation_targets(
    task: Depth, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
) -> ExplanationTargets:
    """The mean score of each of the windows that ``classes`` ask for by their indices in `score_names`, or of the
    center; ``sizes`` (N, 2) are the images' heights and widths. Scores are meters.
    """
    with torch.inference_mode():
        depths = task.predict(inputs).cpu().numpy()
    inside = np.stack([_inside(height, width, preprocessing) for height, width in sizes.tolist()])
    names = tuple(task.score_names[index] for index in (classes or (0,)))
    regions = np.stack([_windows(depths, inside, name) for name in names], axis=1)
    counts = regions.sum((2, 3)).clip(min=1)
    zeros = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    medians = [float(np.median(depth[shown])) for depth, shown in zip(depths, inside, strict=True)]
    return ExplanationTargets(
        predictions=tuple(format_meters(median) for median in medians),
        confidences=None,
        names=(names,) * len(inputs),
        scores=np.asarray((depths[:, None] * regions).sum((2, 3)) / counts, np.float32),
        targets=tuple(
            RegionScore(zeros, torch.from_numpy(np.ascontiguousarray(regions[:, column])).to(inputs.device))
            for column in range(len(names))
        ),
        regions=regions,
        relation="mostly",
    )


def _windows(depths: Floats, inside: Flags, name: str) -> Flags:
    """(N, H, W) the window of each map, around the middle or around where its least or greatest depth inside is."""
    height, width = depths.shape[1:]
    half = [max(1, int(side * _WINDOW / 2)) for side in (height, width)]
    regions = np.zeros(depths.shape, dtype=bool)
    for depth, shown, region in zip(depths, inside, regions, strict=True):
        row, column = height // 2, width // 2
        if name != "center":
            ordered = np.where(shown, depth if name == "nearest" else -depth, np.inf)
            row, column = divmod(int(ordered.argmin()), width)
        region[max(0, row - half[0]) : row + half[0], max(0, column - half[1]) : column + half[1]] = True
    return regions & inside


def _inside(height: int, width: int, preprocessing: Preprocessing) -> Flags:
    """(H, W) where an image of that size lies in the network's input."""
    image = np.ones((height, width), np.float32)
    return np.asarray(warp_depth(image, fit_matrix(height, width, preprocessing), preprocessing) > 0)
