"""Average precision of one class, detection by detection; slides "Precision / Recall" and "PASCAL VOC challenge".

Detections are sorted by score. Each is a true positive where it finds an object that no earlier one has found.
Precision and recall after each of them are the curve, its envelope the largest precision at this recall or a larger
one; AP is the envelope's mean at eleven recalls (VOC until 2009), or the area under it (from 2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.rectangles import area_text, check_boxes, iou_text, overlap_text
from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Grid,
    Mark,
    Phase,
    Shape,
    ShapeKind,
    Step,
    Trace,
    column_cells,
    column_of_terms,
    format_cell,
    format_mean,
    format_number,
    format_sum,
    input_grid,
    result_grid,
    row_cells,
    value_step,
)

_RECALLS = [tenth / 10 for tenth in range(11)]
_SIDE = 100.0  # of the drawing
_SORT = ("Sort by score", "the highest score first")


@dataclass(frozen=True)
class Judgments:
    """Scores (D,) of detections, which of them are ``hits`` (D,), 1 or 0, and the number of objects. Raises
    `ValueError` where there are more hits than objects.
    """

    scores: Array
    hits: Array
    count: int

    def __post_init__(self) -> None:
        if not np.isin(self.hits, (0, 1)).all():
            raise ValueError("The second column of the input says 1 for a true positive and 0 for a false one.")
        if self.hits.sum() > self.count:
            raise ValueError(
                f"There are {int(self.hits.sum())} true positives and {self.count} objects; an object is found once."
            )


@dataclass(frozen=True)
class Detections:
    """Rows of image, left, top, right, bottom: ``found`` (D, 5) with ``scores`` (D,), and the ``objects`` (M, 5). A
    detection is right if its IoU is above ``threshold``. Raises `ValueError` for a box without area.
    """

    found: Array
    scores: Array
    objects: Array
    threshold: float

    def __post_init__(self) -> None:
        check_boxes("the input", self.found[:, 1:])
        check_boxes("target", self.objects[:, 1:])

    @cached_property
    def order(self) -> list[int]:
        """The detections by descending score; of equals the first first."""
        return sort_by_score(self.scores)


def sort_by_score(scores: Array) -> list[int]:
    """Indices by descending score; of equals the first first."""
    return sorted(range(len(scores)), key=lambda index: -float(scores[index]))


def judged_trace(given: Judgments) -> Trace:
    """From right and wrong detections to the average precision."""
    order = sort_by_score(given.scores)
    steps = [_hit_step(given, rank, index) for rank, index in enumerate(order)]
    phases = [Phase(*_SORT, tuple(steps)), *_curve_phases(given.hits[order].tolist(), given.count)]
    grids = [
        input_grid("s", "score", given.scores[:, None]),
        input_grid("right", "1: true positive, 0: false positive", given.hits[:, None]),
        input_grid("n", "objects", np.array([[float(given.count)]])),
    ]
    return _trace(grids, phases, len(order))


def detections_trace(given: Detections) -> Trace:
    """From detected boxes and the objects of each image to the average precision."""
    steps, hits = _match(given)
    sort = (_sort_step(given.scores, rank, index) for rank, index in enumerate(given.order))
    rule = f"IoU above {format_number(given.threshold)} with an object of its image that is not yet found"
    phases = [Phase(*_SORT, tuple(sort)), Phase("True or false positive", rule, tuple(steps))]
    phases += _curve_phases(hits, len(given.objects))
    grids = [
        input_grid("d", "detections: image, left, top, right, bottom", given.found),
        input_grid("s", "score", given.scores[:, None]),
        input_grid("t", "objects: image, left, top, right, bottom", given.objects),
    ]
    return _trace(grids, phases, len(hits), [result_grid("o", "largest IoU", (len(hits), 1), phases)])


def _trace(inputs: list[Grid], phases: list[Phase], count: int, more: list[Grid] | None = None) -> Trace:
    column = (count, 1)
    grids = [*inputs, result_grid("rank", "detection at each rank", column, phases), *(more or [])]
    grids += [
        result_grid("hit", "1: true positive", column, phases),
        result_grid("TP", "up to here", column, phases),
        result_grid("P", "precision", column, phases),
        result_grid("R", "recall", column, phases),
        result_grid("E", "envelope", column, phases),
        input_grid("r", "recalls", np.array([_RECALLS])),
        result_grid("p", "largest precision at recall r or more", (1, len(_RECALLS)), phases),
        result_grid("AP11", "by eleven points", (1, 1), phases),
        result_grid("a", "area", column, phases),
        result_grid("AP", "by area", (1, 1), phases),
    ]
    return Trace("Average precision", tuple(grids), tuple(phases), _drawing(grids))


def _sort_step(scores: Array, rank: int, index: int) -> Step:
    text = f"{format_number(scores[index])} is the highest score{' left' if rank else ''}: detection {index + 1}"
    return value_step(("rank", rank, 0), index + 1, text, [("s", index, 0)], vector=False)


def _hit_step(given: Judgments, rank: int, index: int) -> Step:
    hit = float(given.hits[index])
    text = f"{format_number(given.scores[index])}: detection {index + 1}, {'right' if hit else 'wrong'}"
    outputs: list[tuple[Cell, float]] = [(("rank", rank, 0), index + 1.0), (("hit", rank, 0), hit)]
    return Step(f"rank {rank + 1}", (), (text,), (("s", index, 0), ("right", index, 0)), tuple(outputs))


def _match(given: Detections) -> tuple[list[Step], list[float]]:
    """The step of each detection by descending score, and 1 where it is a true positive, else 0."""
    finders: dict[int, int] = {}
    steps, hits = [], []
    for rank, index in enumerate(given.order):
        image, box = given.found[index, 0], given.found[index, 1:]
        candidates = np.flatnonzero(given.objects[:, 0] == image).tolist()
        lines, ious = [], [0.0]
        for candidate in candidates:
            target = given.objects[candidate, 1:]
            iou, text = iou_text(overlap_text(box, target)[0], (area_text(box)[0], area_text(target)[0]))
            lines.append(f"object {candidate + 1}: {text}")
            ious.append(iou)
        best = int(np.argmax(ious[1:])) if candidates else 0
        iou = ious[best + 1] if candidates else 0.0
        verdict = f"image {format_number(image)} has no object"
        if candidates:
            verdict = f"{format_number(iou)} is not above {format_number(given.threshold)}"
        hit = iou > given.threshold
        if hit:
            finder = finders.setdefault(candidates[best], index)
            hit = finder == index
            verdict = f"{format_number(iou)} > {format_number(given.threshold)}, object {candidates[best] + 1} is "
            verdict += "not yet found" if hit else f"found by detection {finder + 1} already"
        lines.append(f"{verdict}: {'true' if hit else 'false'} positive")
        hits.append(float(hit))
        inputs = [*row_cells("d", index, 5), *(cell for row in candidates for cell in row_cells("t", row, 5))]
        outputs: list[tuple[Cell, float]] = [(("o", rank, 0), iou), (("hit", rank, 0), float(hit))]
        steps.append(Step(f"detection {index + 1}", (), tuple(lines), tuple(inputs), tuple(outputs)))
    return steps, hits


def _curve_phases(hits: list[float], count: int) -> list[Phase]:
    """Precision and recall, envelope, and both averages of detections in the order of their scores."""
    totals = np.cumsum(hits)
    precision, recall = totals / np.arange(1, len(hits) + 1), totals / count
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return [
        Phase("Precision and recall", "P = TP / detections so far, R = TP / objects", tuple(_curve_steps(hits, count))),
        Phase("The envelope E", "E = the larger of P and the next E", tuple(_envelope_steps(precision, envelope))),
        Phase("AP by eleven points", "AP = the mean of p over r = 0, 0.1, …, 1", tuple(_point_steps(recall, envelope))),
        Phase("AP by area", "AP = Σ (R - R before) · E", tuple(_area_steps(recall, envelope))),
    ]


def _curve_steps(hits: list[float], count: int) -> Iterator[Step]:
    total = 0.0
    for rank, hit in enumerate(hits):
        total += hit
        values = {"TP": total, "P": total / (rank + 1), "R": total / count}
        lines = (
            f"TP = {format_number(total - hit)} + {format_number(hit)} = {format_number(total)}",
            f"P = {format_number(total)} / {rank + 1} = {format_number(values['P'])}",
            f"R = {format_number(total)} / {count} = {format_number(values['R'])}",
        )
        outputs = tuple(((name, rank, 0), value) for name, value in values.items())
        marks: tuple[tuple[str, Mark], ...] = ((f"point {rank}", "drawn"), (f"line {rank}", "drawn"))
        yield Step(f"rank {rank + 1}", (), lines, (("hit", rank, 0),), outputs, marks if rank else marks[:1])


def _envelope_steps(precision: Array, envelope: Array) -> Iterator[Step]:
    for rank in reversed(range(len(precision))):
        value = float(envelope[rank])
        if rank + 1 == len(precision):
            text, inputs = f"the last: {format_number(value)}", [("P", rank, 0)]
        else:
            pair = f"{format_number(precision[rank])}, {format_number(envelope[rank + 1])}"
            text, inputs = f"max({pair}) = {format_number(value)}", [("P", rank, 0), ("E", rank + 1, 0)]
        cell = ("E", rank, 0)
        marks: tuple[tuple[str, Mark], ...] = ((f"point {rank}", "drawn"), (f"envelope {rank}", "selected"))
        yield Step(format_cell(cell), (), (text,), tuple(inputs), ((cell, value),), marks)


def _point_steps(recall: Array, envelope: Array) -> Iterator[Step]:
    values = []
    for tenth, level in enumerate(_RECALLS):
        reached = np.flatnonzero(recall >= level)
        values.append(float(envelope[reached[0]]) if reached.size else 0.0)
        text = f"no recall reaches {format_number(level)}: 0"
        inputs: list[Cell] = [("r", 0, tenth)]
        if reached.size:
            rank = int(reached[0])
            left = f"recall {format_number(level)} is reached at rank {rank + 1} (R = {format_number(recall[rank])})"
            text = f"{left}: E = {format_number(values[-1])}"
            inputs += [("R", rank, 0), ("E", rank, 0)]
        cell = ("p", 0, tenth)
        yield Step(format_cell(cell), (), (text,), tuple(inputs), ((cell, values[-1]),), ((f"r {tenth}", "selected"),))
    cells = row_cells("p", 0, len(values))
    yield value_step(("AP11", 0, 0), float(np.mean(values)), format_mean(values), cells, vector=True)


def _area_steps(recall: Array, envelope: Array) -> Iterator[Step]:
    areas = []
    for rank, (value, height) in enumerate(zip(recall.tolist(), envelope.tolist(), strict=True)):
        before = float(recall[rank - 1]) if rank else 0.0
        areas.append((value - before) * height)
        width = f"({format_number(value)} - {format_number(before)})"
        text = f"{width}·{format_number(height)} = {format_number(areas[-1])}"
        cell, inputs = ("a", rank, 0), (("R", rank, 0), ("E", rank, 0))
        marks: tuple[tuple[str, Mark], ...] = ((f"area {rank}", "drawn"),) if value > before else ()
        yield Step(format_cell(cell), (), (text,), inputs, ((cell, areas[-1]),), marks)
    text = f"{format_sum(areas)} = {format_number(sum(areas))}"
    cells = column_cells("a", 0, len(areas))
    yield value_step(("AP", 0, 0), sum(areas), text, cells, column_of_terms(areas), vector=True)


def _drawing(grids: list[Grid]) -> Drawing:
    """The curve of precision (upwards) over recall, its envelope, the eleven points and the area."""
    columns = {grid.name: [row[0] for row in grid.values] for grid in grids}
    recall, precision, envelope = (columns[name] for name in ("R", "P", "E"))
    eleven = next(grid.values[0] for grid in grids if grid.name == "p")
    shapes = []
    for rank, (r, height) in enumerate(zip(recall, envelope, strict=True)):
        before = recall[rank - 1] if rank else 0.0
        if r > before:
            shapes.append(_shape(f"area {rank}", "area", (before, 0), (r, 0), (r, height), (before, height)))
    shapes += [
        Shape("axes", "box", ((0, 0), (_SIDE, 0), (_SIDE, _SIDE), (0, _SIDE))),
        Shape("recall", "text", ((_SIDE / 2, _SIDE + 9),), "recall"),
        Shape("precision", "text", ((9, -4),), "precision"),
    ]
    for tick in (0.0, 0.5, 1.0):
        shapes.append(Shape(f"recall {tick}", "text", ((tick * _SIDE, _SIDE + 5),), format_number(tick)))
        shapes.append(Shape(f"precision {tick}", "text", ((-5, (1 - tick) * _SIDE),), format_number(tick)))
    for rank, (r, p, height) in enumerate(zip(recall, precision, envelope, strict=True)):
        before = recall[rank - 1] if rank else 0.0
        following = envelope[rank + 1] if rank + 1 < len(envelope) else 0.0
        shapes.append(_shape(f"envelope {rank}", "line", (before, height), (r, height), (r, following)))
        if rank:
            shapes.append(_shape(f"line {rank}", "line", (before, precision[rank - 1]), (r, p)))
        shapes.append(_shape(f"point {rank}", "dot", (r, p)))
    shapes += [_shape(f"r {tenth}", "dot", (_RECALLS[tenth], height)) for tenth, height in enumerate(eleven)]
    return Drawing("Precision over recall", (-12, -8, _SIDE + 6, _SIDE + 12), tuple(shapes))


def _shape(name: str, kind: ShapeKind, *points: tuple[float, float]) -> Shape:
    """A shape through (recall, precision)."""
    return Shape(name, kind, tuple((recall * _SIDE, (1 - precision) * _SIDE) for recall, precision in points))
