"""The options that only landmarks have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convolve.errors import OptionError
from convolve.tasks.info import TaskInfo

PointLoss = Literal["wing", "l1", "smooth-l1", "heatmap"]
BY_NAME = "names"
"""The pairs of points whose names differ in the side alone."""


@dataclass(frozen=True)
class LandmarkOptions:
    """How a network for points is trained."""

    loss: PointLoss | None = None
    """Loss of a point: `wing`, `l1` or `smooth-l1` of its coordinates, or the squared error of its `heatmap`."""
    sigma: float | None = None
    """Standard deviation of the Gaussian in a heatmap, as a fraction of the input's side."""
    pairs: str | None = None
    """Points that a flip exchanges, such as `left_eye=right_eye,left_ear=right_ear`; `names` goes by the names."""


@dataclass(frozen=True)
class LandmarkPredictOptions:
    """What to say of each image, and what to write."""

    threshold: float | None = None
    """Minimum confidence of a point (the height of its heatmap) that is drawn and written; 0 by default."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the images with their points drawn, and for `predictions.json`, which has them as COCO does."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold cannot be {self.threshold}; it must be a number from 0 to 1.")


INFO = TaskInfo(
    name="landmarks",
    title="Landmarks",
    output="points",
    ground_truth="points",
    options=LandmarkOptions,
    predict_options=LandmarkPredictOptions,
    metric_titles={
        "mean_pck": "mean PCK",
        "nme": "normalized mean error",
        "pck_05": "PCK@0.05",
        "pck_10": "PCK@0.1",
        "pck_20": "PCK@0.2",
        "oks_ap": "OKS AP",
        "oks_ap50": "OKS AP50",
    },
    fits=("letterbox", "stretch", "crop"),
    ranges={"sigma": (0.001, 0.5)},
    reflect=False,
    other_outputs=("image", "pixels", "coordinates"),
    classifiers_as="coordinates",
    scored="points",
)
