"""What a person may say about how a dataset is read, where looking alone does not decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter


@dataclass(frozen=True)
class ReadingOptions:
    """How a dataset is read, as far as it is not recognized by looking."""

    layout: str | None = None
    """Layout of the data, such as folders, table, masks or coco; by default recognized."""
    annotations: Annotated[tuple[str, ...] | None, Parameter(negative=(), consume_multiple=True)] = None
    """Tables or annotation files to read, by their paths below the folder; by default recognized."""
    image_column: str | None = None
    """Column of a table that names the images."""
    label_column: str | None = None
    """Column of a table that holds the labels."""
    label_from: str | None = None
    """Regular expression on image paths; its first group (or match) is the label."""
    depth_scale: float | None = None
    """What the numbers of depth maps are divided by for meters; by default 1000 for whole numbers (millimeters), 256 in
    KITTI's files, and 1 for other numbers."""


BY_LOOKING = ReadingOptions()
"""Nothing said: all is recognized."""
