"""How well holes are filled: PSNR and SSIM within them, and whether their border shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import cv2
import numpy as np
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.errors import DataError
from convolve.metrics.image_quality import LEAST_SIDE, psnr, ssim, ssim_map
from convolve.tasks.restore.degradation import to_pixels
from convolve.tasks.restore.evaluation import Evaluation, evaluate_images
from convolve.tasks.restore.inpainting.filling import fill_hole
from convolve.tasks.restore.report import BeforeAfter
from convolve.values import Batch, Flags, Pixels

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.restore.inpainting.task import Inpaint
    from convolve.tasks.task import EvaluationData

_RADIUS = 3.0
"""Pixels around one that OpenCV's method looks at."""
_EMPTY = 255
"""The gray level that a hole is shown in."""


@final
class HoleEvaluator:
    """Gathers the PSNR within the holes of parts of images."""

    def __init__(self, task: Inpaint) -> None:
        self._task = task
        self._found: list[float] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, C, H, W) filled images of a batch, normalized."""
        filled = predictions.float().permute(0, 2, 3, 1).cpu().numpy()
        for target, image in zip(batch.images, filled, strict=True):
            pixels = [to_pixels((each * self._task.std + self._task.mean) * 255) for each in (target, image)]
            hole = self._task.hole_of(pixels[0])
            self._found.append(psnr(pixels[0][hole], pixels[1][hole]))

    def metrics(self) -> dict[str, float]:
        """The mean over the parts, of which equal ones count as 100 dB."""
        return {"psnr_hole": float(np.mean(np.minimum(self._found, 100)))}


def evaluate(task: Inpaint, data: EvaluationData) -> Evaluation:
    """Draw a hole in each image that can be read, fill it and measure. Raises `DataError` where there is none."""

    def measure_image(image: Pixels, name: str) -> dict[str, dict[str, float]]:
        if min(image.shape[:2]) < LEAST_SIDE:
            raise DataError(f"{name} has less than {LEAST_SIDE} pixels on a side; leave the image out.")
        target = to_channels(image, len(task.mean))
        hole = task.hole_of(target)
        methods = {"network": fill_hole(target, hole, task, data.runtime), **baselines(target, hole)}
        return {method: measure(target, each, hole) for method, each in methods.items()}

    return evaluate_images(data, measure_image, "psnr_hole_gain")


def baselines(image: Pixels, hole: Flags) -> dict[str, Pixels]:
    """The hole filled without a network: from its border inwards (Telea 2004, "An image inpainting technique based on
    the fast marching method"; OpenCV's), and with the mean of the known pixels.
    """
    telea = cv2.inpaint(image, hole.astype(np.uint8), _RADIUS, cv2.INPAINT_TELEA).reshape(image.shape)
    mean = image[~hole].mean(0)
    return {"telea": np.asarray(telea, np.uint8), "mean": np.where(hole[..., None], to_pixels(mean), image)}


def measure(target: Pixels, image: Pixels, hole: Flags) -> dict[str, float]:
    """PSNR and SSIM of the hole's pixels and of all, and the seam."""
    return {
        "psnr_hole": psnr(target[hole], image[hole]),
        "ssim_hole": float(ssim_map(target, image)[hole].mean()),
        "psnr_rgb": psnr(target, image),
        "ssim_rgb": ssim(target, image),
        "seam": seam(target, image, hole),
    }


def seam(target: Pixels, image: Pixels, hole: Flags) -> float:
    """How much an image changes from known pixels to their neighbors in the hole, for each gray level that the target
    changes there: 1 for no seam, more for an edge along the border, less for a blurred one. Where the target does not
    change at all, one level is taken.
    """
    changes = []
    for each in (target, image):
        levels = each.astype(np.float64)
        across = [np.abs(np.diff(levels, axis=axis))[np.diff(hole, axis=axis)] for axis in (0, 1)]
        changes.append(sum(float(part.sum()) for part in across))
    return changes[1] / max(changes[0], 1.0)


def compare_holes(image: Pixels, task: Inpaint, runtime: Runtime) -> BeforeAfter:
    """An image with its hole, and filled."""
    target = to_channels(image, len(task.mean))
    hole = task.hole_of(target)
    before = np.where(hole[..., None], np.uint8(_EMPTY), target)
    return BeforeAfter(before, fill_hole(target, hole, task, runtime), target)
