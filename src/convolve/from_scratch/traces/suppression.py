"""Non-maximum suppression, box by box; slides "NMS (Non-Maximum Suppression)" and "Predictions on a grid".

Boxes of low confidence are dropped. Then, for each class: the box of the highest confidence stays, and all others whose
IoU with it is above the threshold are removed; then the next highest of those left, until no box is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.traces.rectangles import (
    area_text,
    box_extent,
    box_shape,
    check_boxes,
    iou_text,
    overlap_shapes,
    overlap_text,
)
from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Mark,
    Phase,
    Shape,
    Step,
    Trace,
    format_cell,
    format_number,
    input_grid,
    result_grid,
    row_cells,
)

_CHOICE = "the highest confidence of its class stays, and removes all others whose IoU with it is above {}; repeat"


@dataclass(frozen=True)
class SuppressionInputs:
    """Boxes (N, 4), their confidences ``scores`` (N,) and ``classes`` (N,); a box stays if its confidence is above
    ``confidence``, and no better one of its class has an IoU above ``threshold`` with it. Raises `ValueError` for a box
    without area.
    """

    boxes: Array
    scores: Array
    classes: Labels
    confidence: float
    threshold: float

    def __post_init__(self) -> None:
        check_boxes("the input", self.boxes)

    @cached_property
    def areas(self) -> list[float]:
        """The area of each box."""
        return [area_text(box)[0] for box in self.boxes]

    def ranking(self, label: int) -> list[int]:
        """The boxes of a class whose confidence is high enough, by descending confidence; of equals the first first."""
        candidates = np.flatnonzero((self.classes == label) & (self.scores > self.confidence))
        return sorted(candidates.tolist(), key=lambda index: -float(self.scores[index]))


def suppression_trace(given: SuppressionInputs) -> Trace:
    """From the boxes to those that stay."""
    rule = f"a confidence above {format_number(given.confidence)} stays"
    choice = _CHOICE.format(format_number(given.threshold))
    labels = sorted({int(label) for label in given.classes})
    chosen = [(label, given.ranking(label)) for label in labels]
    phases = [
        Phase("Draw the boxes", "A = (right - left) · (bottom - top)", tuple(_draw_steps(given))),
        Phase("Drop low confidence", rule, tuple(_filter_steps(given))),
        Phase("Sort", "rank by confidence, for each class", tuple(_sort_steps(given, chosen))),
    ]
    for label, ranking in chosen:
        if ranking:
            phases.append(Phase(f"Suppress: class {label}", choice, tuple(_suppress_steps(given, label, ranking))))
    column = (len(given.boxes), 1)
    grids = [
        input_grid("box", "left, top, right, bottom", given.boxes),
        input_grid("s", "confidence", given.scores[:, None]),
        input_grid("c", "class", given.classes[:, None].astype(np.float64)),
        result_grid("A", "area", column, phases),
        result_grid("rank", "by confidence in its class; 0: dropped", column, phases),
        result_grid("o", "largest IoU with a better box that stays", column, phases),
        result_grid("stays", "1: yes, 0: no", column, phases),
    ]
    drawing = Drawing("The boxes", box_extent(given.boxes), tuple(_shapes(given, phases)))
    return Trace("Non-maximum suppression", tuple(grids), tuple(phases), drawing)


def _name(index: int) -> str:
    return f"box {index + 1}"


def _shapes(given: SuppressionInputs, phases: list[Phase]) -> Iterator[Shape]:
    """The overlaps that steps mark, and each box with its number, class and confidence."""
    compared = {name for phase in phases for step in phase.steps for name, mark in step.marks if mark == "brief"}
    for index, other in np.ndindex(len(given.boxes), len(given.boxes)):
        if (name := _overlap_name(index, other)) in compared:
            yield from overlap_shapes(name, given.boxes[index], given.boxes[other])
    several = len(set(given.classes.tolist())) > 1
    for index, (box, score) in enumerate(zip(given.boxes, given.scores.tolist(), strict=True)):
        label = f" class {given.classes[index]}:" if several else ":"
        yield box_shape(_name(index), box, f"{index + 1}{label} {format_number(score)}")


def _overlap_name(index: int, other: int) -> str:
    return f"{_name(index)} & {_name(other)}"


def _draw_steps(given: SuppressionInputs) -> Iterator[Step]:
    for index, box in enumerate(given.boxes):
        area, text = area_text(box)
        cell, inputs = ("A", index, 0), tuple(row_cells("box", index, 4))
        yield Step(format_cell(cell), (), (text,), inputs, ((cell, area),), ((_name(index), "drawn"),))


def _filter_steps(given: SuppressionInputs) -> Iterator[Step]:
    limit = format_number(given.confidence)
    for index, score in enumerate(given.scores.tolist()):
        passes = score > given.confidence
        text = (
            f"{format_number(score)} > {limit}" if passes else f"{format_number(score)} is not above {limit}: dropped"
        )
        cell: Cell = ("stays", index, 0)
        mark: Mark = "drawn" if passes else "removed"
        yield Step(_name(index), (), (text,), (("s", index, 0),), ((cell, float(passes)),), ((_name(index), mark),))


def _sort_steps(given: SuppressionInputs, chosen: list[tuple[int, list[int]]]) -> Iterator[Step]:
    for label, ranking in chosen:
        if not ranking:
            continue
        order = " ≥ ".join(format_number(given.scores[index]) for index in ranking)
        boxes = f"{'boxes' if len(ranking) > 1 else 'box'} {', '.join(str(index + 1) for index in ranking)}"
        outputs = tuple((("rank", index, 0), float(rank)) for rank, index in enumerate(ranking, 1))
        inputs = tuple((name, index, 0) for index in ranking for name in ("s", "c"))
        marks: tuple[tuple[str, Mark], ...] = tuple((_name(index), "drawn") for index in ranking)
        yield Step(f"class {label}", (), (f"{order}: {boxes}",), inputs, outputs, marks)


def _suppress_steps(given: SuppressionInputs, label: int, ranking: list[int]) -> Iterator[Step]:
    largest, left = dict.fromkeys(ranking, 0.0), list(ranking)
    while left:
        best = left.pop(0)
        which = f"the highest confidence of class {label}{'' if best == ranking[0] else ' that is left'}"
        text = f"{format_number(given.scores[best])} is {which}: {_name(best)} stays"
        stays: Cell = ("stays", best, 0)
        yield Step(_name(best), (), (text,), (("s", best, 0),), ((stays, 1.0),), ((_name(best), "selected"),))
        for other in list(left):
            step, iou = _comparison(given, (best, other), largest[other])
            largest[other] = max(largest[other], iou)
            if iou > given.threshold:
                left.remove(other)
            yield step


def _comparison(given: SuppressionInputs, pair: tuple[int, int], largest: float) -> tuple[Step, float]:
    """The step that compares a box that stays with another, and their IoU."""
    best, other = pair
    overlap, lines = overlap_text(given.boxes[best], given.boxes[other])
    iou, ratio = iou_text(overlap, (given.areas[best], given.areas[other]))
    removed, limit = iou > given.threshold, format_number(given.threshold)
    verdict = f"> {limit}: {_name(other)} is removed" if removed else f"is not above {limit}: {_name(other)} is left"
    inputs = (*row_cells("box", best, 4), *row_cells("box", other, 4), ("A", best, 0), ("A", other, 0))
    outputs: list[tuple[Cell, float]] = [
        (("o", other, 0), max(largest, iou)),
        (("stays", other, 0), float(not removed)),
    ]
    marks: list[tuple[str, Mark]] = [(_name(best), "selected"), (_name(other), "removed" if removed else "drawn")]
    marks += [(_overlap_name(best, other), "brief")] if overlap else []
    equations = (*lines, ratio, f"{format_number(iou)} {verdict}")
    return Step(f"{_name(best)}, {_name(other)}", (), equations, inputs, tuple(outputs), tuple(marks)), iou
