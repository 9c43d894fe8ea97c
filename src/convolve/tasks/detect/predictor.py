"""How a run's network finds objects in images of any size."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.preprocess import least_side, normalize
from convolve.datasets.proposed_boxes import pad_regions
from convolve.errors import OptionError
from convolve.layers.truncated_svd import truncate_layers
from convolve.runtime import Runtime
from convolve.tasks.detect.evaluation import regions_on
from convolve.tasks.detect.options import DetectPredictOptions
from convolve.tasks.detect.prediction import BoxPrediction, BoxPredictions, FoundBoxes
from convolve.tasks.detect.suppression import RankedBoxes, SuppressionRule, best_candidates, suppress
from convolve.tasks.detect.views import View, cut_views, merge_views, regions_in_views
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.detect.task import Detect

_PIXELS_AT_ONCE = 2**21
"""Pixels that go through the network together; one input always does."""


@dataclass(frozen=True)
class _Input:
    """An image as it was read: its size, the parts of it that the network sees, its pixels if it is drawn, and the
    regions (R, 4) that are proposed in each of the views, in pixels of the input, if the network scores such.
    """

    size: tuple[int, int]
    views: tuple[View, ...]
    pixels: Pixels | None
    regions: tuple[Floats, ...] = ()


@final
class BoxPredictor(BoxPredictions):
    """Predicts images as a whole, or in tiles, and writes the files."""

    batch_size = 16

    def __init__(
        self, task: Detect, preprocessing: Preprocessing, runtime: Runtime, options: DetectPredictOptions
    ) -> None:
        super().__init__(task.classes, options)
        task = _truncated(task) if options.svd else task
        self._task, self._preprocessing, self._runtime = task, preprocessing, runtime
        own = task.rule
        self._rule = SuppressionRule(
            options.nms or own.kind,
            own.iou if options.nms_iou is None else options.nms_iou,
            task.threshold if options.threshold is None else options.threshold,
            options.top,
        )

    def read(self, images: Images, index: int) -> _Input:
        """The image as the network sees it, and with tiles its parts. Raises `ImageError`."""
        encoded, options = images.open(index), self._options
        small = encoded.decode(least_side(self._preprocessing))
        whole = encoded.decode() if options.out or options.tile else None
        size = encoded.header.size if whole is None else (whole.shape[0], whole.shape[1])
        views = tuple(cut_views(small, size, whole, options.tile, self._preprocessing))
        rule, regions = self._task.proposals, tuple[Floats, ...]()
        if rule:
            regions = regions_in_views(next(rule.propose(images.take(np.array([index])))), views, self._preprocessing)
        return _Input(size, views, whole if options.out else None, regions)

    def predict(self, names: Sequence[str], inputs: Sequence[_Input]) -> Iterator[BoxPrediction]:
        """What is found in each image, in order."""
        views = [view for one in inputs for view in one.views]
        candidates = self._candidates(views, [regions for one in inputs for regions in one.regions])
        for name, one in zip(names, inputs, strict=True):
            merged = merge_views([next(candidates) for _ in one.views], one.views)
            boxes, scores, classes = (column.numpy() for column in suppress(merged, self._rule))
            found = FoundBoxes(boxes.astype(np.float64), scores, classes)
            yield self.describe(name, one.size, found, one.pixels)

    def _candidates(self, views: Sequence[View], regions: Sequence[Floats]) -> Iterator[RankedBoxes]:
        """The candidates of each view, in pixels of the input."""
        area = self._preprocessing.height * self._preprocessing.width
        count = max(1, _PIXELS_AT_ONCE // area)
        for start in range(0, len(views), count):
            pixels = np.stack([view.pixels for view in views[start : start + count]])
            images = self._runtime.images(normalize(pixels, self._preprocessing))
            own = regions_on(self._runtime, pad_regions(regions[start : start + count]) if regions else None)
            with torch.inference_mode(), self._runtime.arithmetic():
                found = best_candidates(self._task.candidates(images, own), self._rule.threshold)
            yield from found


def _truncated(task: Detect) -> Detect:
    """The task with a network whose dense layers are truncated. Raises `OptionError` where none becomes smaller."""
    network = copy.deepcopy(task.network)
    if not truncate_layers(network.head):
        raise OptionError(
            f"{network.card.name} has no dense layers over regions that --svd would make smaller; leave it out."
        )
    return replace(task, network=network)
