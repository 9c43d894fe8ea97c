"""What of a segmentation's answers is explained: a class's score over the pixels that the network takes for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convolve.datasets.masks import moved, pixels_by_class
from convolve.datasets.preprocess import frame
from convolve.tasks.segment.learning import Segment
from convolve.tasks.task import Said
from convolve.values import IGNORE, Floats, Indices, Labels, Pixels, Preprocessing


@final
@dataclass(frozen=True)
class Explaining:
    """A class of an image has as its region the pixels of the frame that the network takes for it, and as its score the
    mean of its probability there; both are nothing where there are no such pixels.
    """

    task: Segment
    preprocessing: Preprocessing
    taken_for: str = "mostly"

    def said(self, inputs: Tensor, sizes: Indices, asked: Sequence[int]) -> Said:
        """By default the class of most pixels. What `letterbox` adds around a picture belongs to no region."""
        with torch.inference_mode():
            shares = self.shares(inputs)
            likeliest, answers = shares.max(1)
        found = np.where(self._inside(sizes), answers.cpu().numpy(), IGNORE).astype(np.uint8)
        most = np.array([pixels_by_class(mask, len(self.task.classes)).argmax() for mask in found], dtype=np.int64)
        classes = np.tile(np.array(asked, dtype=np.int64), (len(found), 1)) if asked else most[:, None]
        regions = found[:, None] == classes[..., None, None]
        sure = likeliest.cpu().numpy()
        return Said(
            labels=tuple(self.task.classes[number] for number in most.tolist()),
            confidences=_means(sure, found == most[:, None, None]),
            classes=classes,
            scores=_means(sure[:, None], regions),
            regions=regions,
        )

    def shares(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes, H, W)."""
        return self.task.shares(inputs)

    def truths(self, labels: Labels) -> tuple[str, ...]:
        """Nothing: a picture holds several classes."""
        return ("",) * len(labels)

    def _inside(self, sizes: Indices) -> npt.NDArray[np.bool_]:
        """(N, H, W) where the pictures lie in the frame."""
        return np.stack([_laid(height, width, self.preprocessing) != IGNORE for height, width in sizes.tolist()])


def explaining(task: Segment, preprocessing: Preprocessing) -> Explaining:
    """What of a run's answers is explained."""
    return Explaining(task, preprocessing)


def _laid(height: int, width: int, preprocessing: Preprocessing) -> Pixels:
    return moved(np.zeros((height, width), np.uint8), frame(height, width, preprocessing), preprocessing)


def _means(values: Floats, regions: npt.NDArray[np.bool_]) -> Floats:
    """The mean over the pixels of each region, 0 where it has none."""
    counts = regions.sum((-2, -1)).clip(min=1)
    return np.asarray((values * regions).sum((-2, -1)) / counts, dtype=np.float32)
