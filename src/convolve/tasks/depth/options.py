"""The options that only depth has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.tasks.info import TaskInfo


@dataclass(frozen=True)
class DepthOptions:
    """What a network for depth learns."""

    si_lambda: float | None = None
    """Lambda of the scale-invariant loss: 0 for the squared error of the logarithm of depth, 1 to disregard the scale
    of each image."""


@dataclass(frozen=True)
class DepthPredictOptions:
    """What to write."""

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for each image's depth map (a 16-bit PNG of the image's size) and an overlay of its colors on the
    image."""


INFO = TaskInfo(
    name="depth",
    title="Depth",
    output="pixels",
    ground_truth="depth",
    options=DepthOptions,
    predict_options=DepthPredictOptions,
    metric_titles={
        "delta1": "accuracy δ < 1.25",
        "abs_rel": "abs rel",
        "rmse": "RMSE",
        "delta2": "accuracy δ < 1.25²",
        "delta3": "accuracy δ < 1.25³",
        "sq_rel": "sq rel",
        "rmse_log": "RMSE log",
        "log10": "log10",
    },
    fits=("stretch", "letterbox"),
    ranges={"si_lambda": (0.0, 1.0)},
    reflect=False,
    classifiers_as="pixels",
    scored="pixels",
    layout="depth",
    trained_in="fp32",  # in bf16 a half of the depths is more than 4 % off (measured with fastdepth)
)
