"""Heatmaps for the images of the report: where the network sees the predicted and the true class."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from convolve.datasets.preprocess import fit_matrix, fit_to_input, least_side, normalize
from convolve.errors import ConvolveError, ImageError
from convolve.explainers.methods import default_method, maps_of_targets, scale
from convolve.explainers.score_targets import ClassScore
from convolve.reports.heatmaps import heatmap_uri, project_to_image
from convolve.runtime import Runtime
from convolve.summary import summarize
from convolve.tasks.classify.task import Classify
from convolve.values import Images, Pixels, Preprocessing

BUDGET = 100e9
"""Multiply-adds that a page's heatmaps may cost: 25 images of 224x224 through ResNet-50, a few seconds of two cores."""
_BATCH = 16
_SIDE = 40
Heatmaps = dict[int, tuple["Heatmap", ...]]


@dataclass(frozen=True)
class Heatmap:
    """Where a network sees the class of an index: a transparent image (a data URI) in the photograph's proportions, to
    lie over it.
    """

    class_index: int
    layer: str


def compute_heatmaps(
    task: Classify,
    runtime: Runtime,
    images: Images,
    preprocessing: Preprocessing,
    classes: Mapping[int, tuple[int, ...]],
) -> Heatmaps:
    """Of the first images that `BUDGET` allows, by their index: a heatmap for each of their ``classes``.

    An image that cannot be read has none. None has any where the network has no map, its input is permuted, or the
    computation fails: a report must not fail for that.
    """
    found: Heatmaps = {}
    if preprocessing.permutation is not None:
        return found
    try:
        indices = list(classes)[: affordable_images(task, preprocessing)]
        for start in range(0, len(indices), _BATCH):
            batch = {index: classes[index] for index in indices[start : start + _BATCH]}
            found |= _of_batch(task, runtime, images, preprocessing, batch)
    except (ConvolveError, RuntimeError):
        return {}
    return found


def affordable_images(task: Classify, preprocessing: Preprocessing) -> int:
    """How many images `BUDGET` allows; none for a network that has no map but the image itself."""
    network, size = task.network, preprocessing
    if not any(True for _ in network.stages.parameters()):
        return 0
    return int(BUDGET // max(1, summarize(network, (size.channels, size.height, size.width)).macs))


def _of_batch(
    task: Classify,
    runtime: Runtime,
    images: Images,
    preprocessing: Preprocessing,
    classes: Mapping[int, tuple[int, ...]],
) -> Heatmaps:
    inputs: dict[int, Pixels] = {}
    sizes: dict[int, tuple[int, int]] = {}
    for index in classes:
        with suppress(ImageError):
            image = images.read(index, least_side(preprocessing))
            inputs[index], sizes[index] = fit_to_input(image, preprocessing), (image.shape[0], image.shape[1])
    if not inputs:
        return {}
    batch = runtime.images(normalize(np.stack(list(inputs.values())), preprocessing))
    pairs = [(position, number) for position, index in enumerate(inputs) for number in classes[index]]
    positions, numbers = torch.tensor(pairs, dtype=torch.int64, device=batch.device).reshape(-1, 2).T
    with runtime.arithmetic():
        maps = maps_of_targets(task.network, batch, positions, ClassScore(numbers))
    if maps.shape[1:].numel() == 1 or not maps.isfinite().all():
        return {}
    attributions, signed = iter(scale(maps).cpu().numpy()), default_method(task.network)[0].signed
    shape = preprocessing.height, preprocessing.width

    def heatmap(number: int, size: tuple[int, int]) -> Heatmap:
        whole = project_to_image(next(attributions), shape, fit_matrix(*size, preprocessing), size, _SIDE)
        return Heatmap(number, heatmap_uri(whole, signed, _SIDE))

    return {index: tuple(heatmap(number, size) for number in classes[index]) for index, size in sizes.items()}
