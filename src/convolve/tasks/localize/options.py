"""The options that only localization has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convolve.tasks.info import TaskInfo, check_predict_options

BoxLoss = Literal["smooth-l1", "diou"]


@dataclass(frozen=True)
class LocalizeOptions:
    """How a localization network is trained."""

    box_loss: BoxLoss | None = None
    """Loss of the box: `smooth-l1` of its center and sides, or `diou`, one minus the IoU plus the distance of the
    centers (Zheng et al. 2020)."""
    box_weight: float | None = None
    """Weight of the box's loss; the class's cross-entropy has 1."""


@dataclass(frozen=True)
class LocalizePredictOptions:
    """What to say of each image, and what to write."""

    top: int = 3
    """Number of classes to list for each image, most likely first; 3 by default."""
    threshold: float | None = None
    """Minimum confidence: images below it are labeled `unsure`; their box is given all the same."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the images with their box drawn, and `predictions.json` (COCO)."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(self.top, self.threshold)


INFO = TaskInfo(
    name="localize",
    title="Localization",
    output="box",
    ground_truth="boxes",
    options=LocalizeOptions,
    predict_options=LocalizePredictOptions,
    metric_titles={
        "localization_accuracy": "localization accuracy",
        "top5_localization_accuracy": "top-5 localization accuracy",
        "accuracy": "accuracy",
        "box_accuracy": "box accuracy",
        "mean_iou": "mean IoU",
    },
    fits=("letterbox", "stretch", "crop"),
    reflect=False,
    ranges={"box_weight": (0.0, 1000.0)},
    imbalance_remedy="add images of the rare classes, and judge by the metrics of each class",
    classifiers_as="box",
)
