"""The options that only segmentation has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convolve.tasks.info import TaskInfo, check_predict_options

PixelLoss = Literal["cross-entropy", "cross-entropy-sum", "dice", "focal"]


@dataclass(frozen=True)
class SegmentOptions:
    """How a segmentation network is trained."""

    loss: PixelLoss | None = None
    """Loss: cross-entropy (its mean over the pixels, or their sum), dice, or focal."""
    ignore: str | None = None
    """Class whose pixels count neither in training nor in evaluation."""
    balance: Literal["none", "weights"] | None = None
    """Against class imbalance: class `weights` in the loss."""


@dataclass(frozen=True)
class SegmentPredictOptions:
    """What to say of each image, and what to write."""

    top: int = 3
    """Number of classes to list for each image, largest area first; 3 by default."""
    threshold: float | None = None
    """Minimum confidence: pixels below it are ignored."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for each image's mask (an indexed PNG of the image's size), an overlay on the image, and
    `predictions.json`, all regions as COCO polygons."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(self.top, self.threshold)


INFO = TaskInfo(
    name="segment",
    title="Segmentation",
    output="pixels",
    ground_truth="masks",
    options=SegmentOptions,
    predict_options=SegmentPredictOptions,
    metric_titles={
        "mean_iou": "mean IoU",
        "pixel_accuracy": "pixel accuracy",
        "mean_accuracy": "mean class accuracy",
        "weighted_iou": "frequency-weighted IoU",
        "boundary_f": "boundary F",
    },
    fits=("crop", "letterbox", "stretch", "tiles"),
    imbalance_remedy="use class weights, and judge by mean IoU rather than pixel accuracy",
)
