"""How near colors are to the right ones.

AUC is the area under the curve of how many pixels have an error of ab below a threshold from 0 to 150, as a fraction
(Zhang, Isola, Efros 2016, "Colorful image colorization", section 3.1). Balanced, each color counts as much, however
rare.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy as np
from torch import Tensor

from convolve.datasets.images import to_channels
from convolve.metrics.image_quality import psnr
from convolve.tasks.restore.colorization.bins import color_bins, nearest_bins, smooth
from convolve.tasks.restore.colorization.coloring import colorize, to_lab, without_color
from convolve.tasks.restore.degradation import to_pixels
from convolve.tasks.restore.evaluation import Evaluation, evaluate_images
from convolve.tasks.restore.report import BeforeAfter
from convolve.values import Batch, Pixels

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.restore.colorization.task import Colorize
    from convolve.tasks.task import EvaluationData

_LARGEST = 150.0
"""The largest threshold."""


@final
class ColorEvaluator:
    """Gathers the balanced AUC of images as they are trained on."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self._mean, self._std = mean, std
        self._found: list[float] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, 3, H, W) images of a batch in color, normalized."""
        colored = predictions.float().permute(0, 2, 3, 1).cpu().numpy()
        for target, image in zip(batch.images, colored, strict=True):
            pixels = (to_pixels((each * self._std + self._mean) * 255) for each in (target, image))
            self._found.append(areas(*pixels)["auc_balanced"])

    def metrics(self) -> dict[str, float]:
        """The mean over the images."""
        return {"auc_balanced": float(np.mean(self._found))}


def evaluate(task: Colorize, data: EvaluationData) -> Evaluation:
    """Take the color away from whole images, color and measure them. Raises `DataError` where none can be read."""
    side = min(data.preprocessing.height, data.preprocessing.width)

    def measure_image(image: Pixels, name: str) -> dict[str, dict[str, float]]:
        del name
        methods = {"network": colorize(image, task, side, data.runtime), "gray": without_color(image)}
        return {method: measure(to_channels(image, 3), each) for method, each in methods.items()}

    return evaluate_images(data, measure_image, "auc_gain")


def measure(target: Pixels, image: Pixels) -> dict[str, float]:
    """Both AUC, PSNR, and how colorful an image is, where the target has 1."""
    colorfulness = measure_colorfulness(image) / max(measure_colorfulness(target), 1.0)
    return {**areas(target, image), "psnr_rgb": psnr(target, image), "colorfulness": colorfulness}


def areas(target: Pixels, image: Pixels) -> dict[str, float]:
    """AUC of an image (H, W, 3), balanced and not."""
    right, found = (to_lab(each)[..., 1:].reshape(-1, 2) for each in (target, image))
    accuracy = 1 - np.minimum(np.hypot(*(right - found).T), _LARGEST) / _LARGEST
    bins = nearest_bins(right)
    weights = 1 / smooth(np.bincount(bins, minlength=len(color_bins())).astype(np.float32))[bins]
    return {"auc_balanced": float(np.average(accuracy, weights=weights)), "auc": float(accuracy.mean())}


def measure_colorfulness(image: Pixels) -> float:
    """Hasler and Süsstrunk 2003, "Measuring colorfulness in natural images", section 7: 0 for gray, 109 for an
    extremely colorful image.
    """
    red, green, blue = image.astype(np.float64).reshape(-1, 3).T
    opponents = red - green, (red + green) / 2 - blue
    deviation, mean = (math.hypot(*(float(call(each)) for each in opponents)) for call in (np.std, np.mean))
    return deviation + 0.3 * mean


def compare_colors(image: Pixels, task: Colorize, side: int, runtime: Runtime) -> BeforeAfter:
    """An image in gray, and colored."""
    return BeforeAfter(without_color(image), colorize(image, task, side, runtime), to_channels(image, 3))
