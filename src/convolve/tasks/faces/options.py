"""The options of finding faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.errors import OptionError
from convolve.tasks.info import NoOptions, TaskInfo, check_predict_options

LEAST_FACE, MOST_FACE = 12, 4096


@dataclass(frozen=True)
class FacePredictOptions:
    """What to say of each image, and what to write."""

    threshold: float | None = None
    """Minimum confidence of a face; 0.7 by default, as published."""
    min_face: int = 20
    """Side in pixels of the smallest face to look for; 20 by default. Larger ones are found faster."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the images with their faces and points drawn, and `predictions.json` (COCO's boxes and keypoints)."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(1, self.threshold)
        if not LEAST_FACE <= self.min_face <= MOST_FACE:
            raise OptionError(
                f"min_face cannot be {self.min_face}; it must be a whole number from {LEAST_FACE} to {MOST_FACE}."
            )


INFO = TaskInfo(
    name="faces",
    title="Faces",
    output="faces",
    ground_truth="boxes",
    options=NoOptions,
    predict_options=FacePredictOptions,
    metric_titles={"ap50": "AP50", "ap": "AP", "precision": "precision", "recall": "recall", "f1": "F1"},
    untrained="The networks of the task faces are converted from their authors' files and cannot be trained here; for "
    "a detector of your own choose --task detect.",
)
