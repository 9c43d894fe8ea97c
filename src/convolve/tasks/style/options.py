"""The options that only the training of a style has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.options import PathLike
from convolve.tasks.info import TaskInfo


@dataclass(frozen=True)
class StyleOptions:
    """What style is learned, and by which network it is measured."""

    style: Annotated[str | None, PathLike()] = None
    """Image whose style the network learns to give to photographs."""
    loss_network: Annotated[str | None, PathLike()] = None
    """Network whose maps are compared: any with official ImageNet weights, or the folder of a run. It learns
    nothing."""
    style_weight: float | None = None
    """Weight of the style's loss, where the content's is 1."""
    tv_weight: float | None = None
    """Weight of the differences of neighboring pixels; more is smoother."""


@dataclass(frozen=True)
class StylePredictOptions:
    """What to write."""

    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the images in the run's style, each a PNG file."""


INFO = TaskInfo(
    name="style",
    title="Style transfer",
    output="stylized",
    ground_truth="images",
    options=StyleOptions,
    predict_options=StylePredictOptions,
    metric_titles={
        "loss_removed": "loss removed",
        "content_loss": "content loss",
        "style_loss": "style loss",
        "tv_loss": "total variation",
    },
    fits=("crop", "stretch"),
    ranges={"style_weight": (0.0, 1e9), "tv_weight": (0.0, 1e9)},
    scored="channels",
    compared="values",
    layout="images",
)
