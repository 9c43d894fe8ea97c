"""What the traces of boxes share: their checks, the arithmetic of an overlap as text, and their drawing."""

from __future__ import annotations

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import Point, Shape, format_factor, format_number

_MARGIN = 0.06


def check_boxes(name: str, boxes: Array) -> None:
    """Raises `ValueError` for a box (N, 4) that has no area."""
    for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
        if left >= right or top >= bottom or not (right - left) * (bottom - top):  # which may be too small a number
            edges = " ".join(map(format_number, (left, top, right, bottom)))
            raise ValueError(
                f"Box {row + 1} of {name} is {edges}, which has no area; give left, top, right and bottom, "
                "with left < right and top < bottom."
            )


def area_text(box: Array) -> tuple[float, str]:
    """The area of a box (4,), and its calculation: ``(50 - 10)·(40 - 20) = 800``."""
    left, top, right, bottom = box.tolist()
    area = (right - left) * (bottom - top)
    width = f"({format_number(right)} - {format_factor(left)})"
    return area, f"{width}·({format_number(bottom)} - {format_factor(top)}) = {format_number(area)}"


def overlap_text(a: Array, b: Array) -> tuple[float, tuple[str, ...]]:
    """The area that two boxes (4,) have in common, and its calculation in lines: width, height, area."""
    sides, lines = [], []
    for name, axis in (("width", 0), ("height", 1)):
        ends, starts = sorted([float(a[axis + 2]), float(b[axis + 2])]), sorted([float(a[axis]), float(b[axis])])
        side = ends[0] - starts[1]
        text = f"{name} = {format_number(ends[0])} - {format_factor(starts[1])} = {format_number(side)}"
        lines.append(text if side >= 0 else f"{text} < 0: they do not meet, 0")
        sides.append(max(0.0, side))
    area = sides[0] * sides[1]
    lines.append(f"overlap = {format_number(sides[0])}·{format_number(sides[1])} = {format_number(area)}")
    return area, tuple(lines)


def iou_text(overlap: float, areas: tuple[float, float]) -> tuple[float, str]:
    """The IoU of two boxes with these areas, and its calculation: overlap / (area + area - overlap)."""
    union = areas[0] + areas[1] - overlap
    parts = f"({format_number(areas[0])} + {format_number(areas[1])} - {format_number(overlap)})"
    return overlap / union, f"IoU = {format_number(overlap)} / {parts} = {format_number(overlap / union)}"


def box_shape(name: str, box: Array, label: str = "") -> Shape:
    """The outline of a box (4,)."""
    return Shape(name, "box", _corner_points(box), label)


def overlap_shapes(name: str, a: Array, b: Array) -> list[Shape]:
    """The area that two boxes (4,) have in common; none if they do not overlap."""
    common = np.concatenate([np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])])
    return [Shape(name, "area", _corner_points(common))] if (common[:2] < common[2:]).all() else []


def box_extent(boxes: Array) -> tuple[float, float, float, float]:
    """Left, top, right, bottom around all boxes (N, 4), with a margin."""
    start, end = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = _MARGIN * float((end - start).max())
    left, top = (start - margin).tolist()
    right, bottom = (end + margin).tolist()
    return left, top, right, bottom


def _corner_points(box: Array) -> tuple[Point, ...]:
    left, top, right, bottom = box.tolist()
    return (left, top), (right, top), (right, bottom), (left, bottom)
