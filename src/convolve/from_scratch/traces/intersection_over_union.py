"""Intersection over union, value by value; slides "IOU Intersection over Union" and "Area of Overlap / Area of Union".

The pixels that both boxes have are true positives, those of the predicted box alone false positives, those of the
ground truth alone false negatives: IoU = TP / (TP + FP + FN).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.rectangles import (
    area_text,
    box_extent,
    box_shape,
    check_boxes,
    overlap_shapes,
    overlap_text,
)
from convolve.from_scratch.traces.trace import (
    Drawing,
    Mark,
    Phase,
    Step,
    Trace,
    format_cell,
    format_number,
    input_grid,
    result_grid,
    row_cells,
)


@dataclass(frozen=True)
class IoUInputs:
    """Predicted boxes p (N, 4) and those of the ground truth t (M, 4). Raises `ValueError` for one without area."""

    p: Array
    t: Array

    def __post_init__(self) -> None:
        check_boxes("the input", self.p)
        check_boxes("target", self.t)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, M)."""
        return len(self.p), len(self.t)


def iou_trace(given: IoUInputs) -> Trace:
    """The IoU of each predicted box with each of the ground truth."""
    areas = [*_area_steps("p", given.p), *_area_steps("t", given.t)]
    overlap = "TP = width · height; width = the smaller right - the larger left, and so for the height; at least 0"
    phases = [
        Phase("The area A of each box", "A = (right - left) · (bottom - top)", tuple(areas)),
        Phase("The overlap: true positives TP", overlap, tuple(_overlap_steps(given))),
        Phase("Predicted only: false positives FP", "FP = A of p - TP", tuple(_rest_steps(given, "FP"))),
        Phase("Ground truth only: false negatives FN", "FN = A of t - TP", tuple(_rest_steps(given, "FN"))),
        Phase("IoU", "IoU = TP / (TP + FP + FN) = overlap / union", tuple(_iou_steps(given))),
    ]
    grids = [
        input_grid("p", "predicted: left, top, right, bottom", given.p),
        input_grid("t", "ground truth: left, top, right, bottom", given.t),
        result_grid("Ap", "area", (len(given.p), 1), phases),
        result_grid("At", "area", (len(given.t), 1), phases),
        result_grid("TP", "overlap; row: p, column: t", given.shape, phases),
        result_grid("FP", "predicted only", given.shape, phases),
        result_grid("FN", "ground truth only", given.shape, phases),
        result_grid("IoU", "overlap / union", given.shape, phases),
    ]
    shapes = []
    for n, m in np.ndindex(*given.shape):
        shapes += overlap_shapes(_overlap_name(n, m), given.p[n], given.t[m])
    for name, boxes in (("p", given.p), ("t", given.t)):
        shapes += [box_shape(f"{name}{row}", box, f"{name}{row}") for row, box in enumerate(boxes, 1)]
    drawing = Drawing("The boxes", box_extent(np.concatenate([given.p, given.t])), tuple(shapes))
    return Trace("Intersection over union", tuple(grids), tuple(phases), drawing)


def _overlap_name(n: int, m: int) -> str:
    return f"p{n + 1}&t{m + 1}"


def _area_steps(name: str, boxes: Array) -> Iterator[Step]:
    mark: Mark = "drawn" if name == "p" else "selected"
    for row, box in enumerate(boxes):
        area, text = area_text(box)
        cell = (f"A{name}", row, 0)
        inputs = tuple(row_cells(name, row, 4))
        yield Step(format_cell(cell), (), (text,), inputs, ((cell, area),), ((f"{name}{row + 1}", mark),))


def _overlap_steps(given: IoUInputs) -> Iterator[Step]:
    for n, m in np.ndindex(*given.shape):
        area, lines = overlap_text(given.p[n], given.t[m])
        cell, inputs = ("TP", n, m), (*row_cells("p", n, 4), *row_cells("t", m, 4))
        yield Step(format_cell(cell), (), lines, inputs, ((cell, area),), _pair_marks(n, m, area))


def _rest_steps(given: IoUInputs, name: str) -> Iterator[Step]:
    for n, m in np.ndindex(*given.shape):
        overlap, _ = overlap_text(given.p[n], given.t[m])
        area, _ = area_text(given.p[n] if name == "FP" else given.t[m])
        cell, owner = (name, n, m), ("Ap", n, 0) if name == "FP" else ("At", m, 0)
        text = f"{format_number(area)} - {format_number(overlap)} = {format_number(area - overlap)}"
        inputs = (owner, ("TP", n, m))
        yield Step(format_cell(cell), (), (text,), inputs, ((cell, area - overlap),), _pair_marks(n, m, overlap))


def _iou_steps(given: IoUInputs) -> Iterator[Step]:
    for n, m in np.ndindex(*given.shape):
        overlap, _ = overlap_text(given.p[n], given.t[m])
        rest = [area_text(box)[0] - overlap for box in (given.p[n], given.t[m])]
        union = overlap + sum(rest)
        parts = " + ".join(format_number(value) for value in (overlap, *rest))
        ratio = f"{format_number(overlap)} / {format_number(union)} = {format_number(overlap / union)}"
        cell, text = ("IoU", n, m), f"{format_number(overlap)} / ({parts}) = {ratio}"
        inputs = tuple((name, n, m) for name in ("TP", "FP", "FN"))
        yield Step(
            format_cell(cell), (), (text,), inputs, ((cell, overlap / union),), _pair_marks(n, m, overlap, "drawn")
        )


def _pair_marks(n: int, m: int, overlap: float, mark: Mark = "brief") -> tuple[tuple[str, Mark], ...]:
    """Both boxes, and their overlap if there is one."""
    marks: list[tuple[str, Mark]] = [(f"p{n + 1}", "drawn"), (f"t{m + 1}", "selected")]
    return (*marks, (_overlap_name(n, m), mark)) if overlap else tuple(marks)
