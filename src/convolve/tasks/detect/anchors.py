"""Anchors for the boxes of a dataset, found before anything is trained: what `convolve data` says and draws of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from convolve.datasets.boxes import Boxes
from convolve.datasets.input_boxes import input_matrices
from convolve.layers.anchors import fit_anchors, mean_best_overlap
from convolve.tasks.detect.options import DetectDataOptions
from convolve.values import Dataset, Floats, Indices, Preprocessing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.reports.report import Section

ANCHOR_SEED = 0
USUAL = 9
"""As many as YOLO v3 has."""
_HOME = "convolve.tasks.detect"


@dataclass(frozen=True, eq=False)
class FoundAnchors:
    """The (M, 2) ``sides`` of a dataset's boxes, widths and heights in pixels of an input of ``size`` (height, width),
    and the (A, 2) ``anchors`` that they overlap best.
    """

    sides: Floats
    anchors: Floats
    size: tuple[int, int]

    def as_json(self) -> dict[str, Any]:
        """`anchors`: the input's height and width, the sizes, and the mean of the best IoU."""
        sizes = [[round(value, 2) for value in pair] for pair in self.anchors.tolist()]
        return {"anchors": {"input": list(self.size), "sizes": sizes, "mean_best_iou": self._overlap()}}

    def to_console(self) -> Iterator[RenderableType]:
        """One line."""
        from convolve.reports.report import format_count

        sizes = ", ".join(f"{width:.0f}x{height:.0f}" for width, height in self.anchors.tolist())
        yield (
            f"{format_count(len(self.anchors), 'anchors')} at {self.size[1]}x{self.size[0]}: {sizes}; "
            f"the best one overlaps a box by an IoU of {self._overlap():.2f} on average"
        )

    def sections(self) -> tuple[Section, ...]:
        """The sizes of boxes with the anchors over them."""
        return (anchor_section(self.sides, self.anchors),)

    def _overlap(self) -> float:
        return mean_best_overlap(torch.from_numpy(self.sides), torch.from_numpy(self.anchors))


def find_anchors(dataset: Dataset, preprocessing: Preprocessing, options: DetectDataOptions) -> FoundAnchors | None:
    """By k-means on all boxes that are learned from; None where there is none."""
    sides = box_sides(cast(Boxes, dataset.ground_truths["boxes"]), np.arange(len(dataset)), preprocessing)
    if not len(sides):
        return None
    anchors = fit_anchors(torch.from_numpy(sides), options.anchors or USUAL, ANCHOR_SEED).numpy()
    return FoundAnchors(sides, anchors, (preprocessing.height, preprocessing.width))


def anchor_section(sides: Floats, anchors: Floats) -> Section:
    """Widths and heights of boxes (M, 2) and of anchors (A, 2), in pixels of the input, and how well they fit."""
    from convolve.reports.drawing import as_svg
    from convolve.reports.report import Section, format_count
    from convolve.tasks.detect.charts import anchor_figure

    context = {
        "figure": as_svg(anchor_figure(sides, anchors), "anchors"),
        "fit": mean_best_overlap(torch.from_numpy(sides), torch.from_numpy(anchors)),
        "boxes": format_count(len(sides), "boxes"),
        "sizes": format_count(len(anchors), "sizes"),
        "anchors": [f"{width:.0f}×{height:.0f}" for width, height in anchors.tolist()],
    }
    return Section("anchors", "Anchors", (_HOME, "anchors.html.j2"), context)


def box_sides(boxes: Boxes, images: Indices, preprocessing: Preprocessing) -> Floats:
    """(M, 2) widths and heights of the boxes of some images that are learned from, in pixels of the input."""
    rows, image = boxes.rows(images)
    learned = ~(boxes.crowd[rows] | boxes.difficult[rows])
    rows, image = rows[learned], image[learned]
    scales = input_matrices(boxes.sizes[images], preprocessing)[:, [0, 1], [0, 1]]
    sides = (boxes.boxes[rows, 2:] - boxes.boxes[rows, :2]) * scales[image]
    return np.asarray(sides, dtype=np.float32)
