"""The options that only stereo pairs have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.tasks.info import NoOptions, TaskInfo


@dataclass(frozen=True)
class StereoPredictOptions:
    """What to write."""

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for each image's disparity map (a 16-bit PNG of the image's size) and an overlay of its colors on the
    image."""


INFO = TaskInfo(
    name="stereo",
    title="Stereo pairs",
    output="pixels",
    ground_truth="stereo",
    options=NoOptions,
    predict_options=StereoPredictOptions,
    metric_titles={
        "error_removed": "photometric error removed",
        "photometric": "photometric error",
        "mae": "disparity error",
        "bad3": "off by more than 3 px",
    },
    fits=("stretch",),
    reflect=False,
    classifiers_as="pixels",
    scored="pixels",
    layout="stereo",
    trained_in="fp32",
)
