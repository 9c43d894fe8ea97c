"""How a run's network finds objects in images of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.preprocess import least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.detect.options import DetectPredictOptions
from convolve.tasks.detect.prediction import BoxPrediction, BoxPredictions, FoundBoxes
from convolve.tasks.detect.suppression import RankedBoxes, SuppressionRule, best_candidates, suppress
from convolve.tasks.detect.views import View, cut_views, merge_views
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.detect.task import Detect

_PIXELS_AT_ONCE = 2**21
"""Pixels that go through the network together; one input always does."""


@dataclass(frozen=True)
class _Input:
    """An image as it was read: its size, the parts of it that the network sees, and its pixels if it is drawn."""

    size: tuple[int, int]
    views: tuple[View, ...]
    pixels: Pixels | None


@final
class BoxPredictor(BoxPredictions):
    """Predicts images as a whole, or in tiles, and writes the files."""

    batch_size = 16

    def __init__(
        self, task: Detect, preprocessing: Preprocessing, runtime: Runtime, options: DetectPredictOptions
    ) -> None:
        super().__init__(task.classes, options)
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
        views = cut_views(small, size, whole, options.tile, self._preprocessing)
        return _Input(size, tuple(views), whole if options.out else None)

    def predict(self, names: Sequence[str], inputs: Sequence[_Input]) -> Iterator[BoxPrediction]:
        """What is found in each image, in order."""
        candidates = self._candidates([view for one in inputs for view in one.views])
        for name, one in zip(names, inputs, strict=True):
            merged = merge_views([next(candidates) for _ in one.views], one.views)
            boxes, scores, classes = (column.numpy() for column in suppress(merged, self._rule))
            found = FoundBoxes(boxes.astype(np.float64), scores, classes)
            yield self.describe(name, one.size, found, one.pixels)

    def _candidates(self, views: Sequence[View]) -> Iterator[RankedBoxes]:
        """The candidates of each view, in pixels of the input."""
        area = self._preprocessing.height * self._preprocessing.width
        count = max(1, _PIXELS_AT_ONCE // area)
        for start in range(0, len(views), count):
            pixels = np.stack([view.pixels for view in views[start : start + count]])
            images = self._runtime.images(normalize(pixels, self._preprocessing))
            with torch.inference_mode(), self._runtime.arithmetic():
                found = best_candidates(self._task.candidates(images), self._rule.threshold)
            yield from found
