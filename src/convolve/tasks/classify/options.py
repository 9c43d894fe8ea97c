"""The options that only classification has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from convolve.tasks.info import TaskInfo, check_predict_options


@dataclass(frozen=True)
class ClassifyOptions:
    """How a classifier is trained."""

    label_smoothing: float | None = None
    """Label smoothing: probability spread over all classes (0 to 1)."""
    mixup: float | None = None
    """Alpha of mixup, which blends pairs of images and labels by a ratio from Beta(alpha, alpha); 0 disables it."""
    balance: Literal["none", "weights", "sampler"] | None = None
    """Against class imbalance: class `weights` in the loss, or a `sampler` that draws rare classes more often."""
    permute: bool | None = None
    """Permute the pixels of every image in the same way, drawn by the seed, after augmentation and also wherever the
    run predicts: what a network loses without neighborhoods."""


@dataclass(frozen=True)
class ClassifyPredictOptions:
    """What to say of each image."""

    top: int = 3
    """Number of classes to list for each image, most likely first; 3 by default."""
    threshold: float | None = None
    """Minimum confidence: images below it are labeled `unsure`; with multi-label, labels below it are omitted."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(self.top, self.threshold)


INFO = TaskInfo(
    name="classify",
    title="Classification",
    output="image",
    ground_truth="labels",
    options=ClassifyOptions,
    predict_options=ClassifyPredictOptions,
    metric_titles={
        "accuracy": "accuracy",
        "average_precision": "mean average precision",
        "top5_accuracy": "top-5 accuracy",
        "roc_auc": "ROC AUC",
        "exact_match": "exact match",
        "macro_f1": "macro F1",
    },
    ranges={"label_smoothing": (0.0, 0.9999), "mixup": (0.0, 100.0)},
    imbalance_remedy="use class weights or the balanced sampler, and judge by macro averages rather than accuracy",
)
