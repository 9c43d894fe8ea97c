"""From the descriptor of a box, t_x t_y t_w t_h c_1 … p_obj, to the box in pixels and its scores; slides "Predictions
on a grid" and "Yolo".

`VERSIONS`: v1 is linear, with the center in the cell and the square roots of the sides as fractions of the image; v2
has a sigmoid for the center, anchors for the sides, and a softmax over the classes; v3 a sigmoid for each class.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.rectangles import box_shape
from convolve.from_scratch.traces.trace import (
    Cell,
    Drawing,
    Grid,
    Mark,
    Phase,
    Shape,
    Step,
    Trace,
    format_cell,
    format_factor,
    format_number,
    format_sum,
    input_grid,
    result_grid,
    row_cells,
    value_step,
)

VERSIONS = ("v1", "v2", "v3")
SIDES = {"v1": 64, "v2": 32, "v3": 32}
"""Pixels of a cell's side: 448 / 7, 416 / 13 and, in v3's coarsest grid, 416 / 13."""
COUNTS = {"v1": 7, "v2": 13, "v3": 13}
"""Cells along each side of the image."""
ANCHORS = {
    "v2": tuple(
        (32 * width, 32 * height)
        for width, height in (
            (1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071)
        )
    ),
    "v3": ((116, 90), (156, 198), (373, 326)),
}  # fmt: skip
"""The anchors that were published, in pixels: v2's for PASCAL VOC, whose file counts in cells of 32, and those of v3's
coarsest grid for COCO.
"""
_LARGEST = 300
_CENTER = {"v1": "b = (t + {}) · side", "v2": "b = (σ(t) + {}) · side", "v3": "b = (σ(t) + {}) · side"}
_SIZE = {"v1": "b = t² · image", "v2": "b = anchor · exp t", "v3": "b = anchor · exp t"}


@dataclass(frozen=True)
class GridCell:
    """Row and column from 0, the number of cells along each side of the image, and a cell's ``side`` in pixels. Raises
    `ValueError` for a cell outside of the grid.
    """

    row: int
    column: int
    cells: int
    side: float

    def __post_init__(self) -> None:
        if not (0 <= self.row < self.cells and 0 <= self.column < self.cells):
            raise ValueError(
                f"The cell is row {self.row + 1}, column {self.column + 1}; both must be from 1 to {self.cells}."
            )

    @property
    def image(self) -> float:
        """The side of the image in pixels."""
        return self.cells * self.side


@dataclass(frozen=True)
class Descriptors:
    """One of `VERSIONS`, and of each box of a cell t (B, 4), classes c (B, C), objectness p (B,) and in v2 and v3 its
    anchor (B, 2) in pixels. A class stays where its score is above ``confidence``. Raises `ValueError` for what no
    network of the version can give.
    """

    version: str
    values: Array
    cell: GridCell
    anchors: Array | None
    confidence: float

    def __post_init__(self) -> None:
        if self.values.shape[1] < 6:
            raise ValueError(
                f"A row has {self.values.shape[1]} numbers; give t_x t_y t_w t_h, one for each class, and p_obj."
            )
        if np.abs(self.values).max() > _LARGEST:
            raise ValueError(f"A number beyond ±{_LARGEST} makes exp overflow; a network gives small ones.")
        if self.version == "v1" and (self.c != self.c[0]).any():
            raise ValueError("In v1 all boxes of a cell have the same class probabilities; give the same in each row.")
        if self.anchors is not None and ((self.anchors <= 0).any() or self.anchors.shape != (len(self.values), 2)):
            raise ValueError(f"Give {len(self.values)} anchors, one for each box: width and height above 0, in pixels.")

    @property
    def t(self) -> Array:
        """t_x, t_y, t_w, t_h (B, 4)."""
        return self.values[:, :4]

    @property
    def c(self) -> Array:
        """The classes (B, C)."""
        return self.values[:, 4:-1]

    @cached_property
    def objectness(self) -> list[float]:
        """The probability of an object, of each box."""
        raw = self.values[:, -1].tolist()
        return raw if self.version == "v1" else [_sigmoid(value) for value in raw]

    @cached_property
    def probabilities(self) -> Array:
        """Those of the classes (B, C)."""
        if self.version == "v1":
            return self.c
        if self.version == "v3":
            return np.array([[_sigmoid(value) for value in row] for row in self.c.tolist()])
        powers = np.exp(self.c)
        probabilities: Array = powers / powers.sum(1, keepdims=True)
        return probabilities

    @cached_property
    def boxes(self) -> Array:
        """Center and size (B, 4) in pixels."""
        return np.array([[_decoded(self, box, axis)[0] for axis in range(4)] for box in range(len(self.t))])

    @cached_property
    def edges(self) -> Array:
        """Left, top, right, bottom (B, 4)."""
        half = self.boxes[:, 2:] / 2
        return np.concatenate([self.boxes[:, :2] - half, self.boxes[:, :2] + half], axis=1)


def yolo_trace(given: Descriptors) -> Trace:
    """From the descriptors of a cell's boxes to their scores and those that stay."""
    cell, center, size = given.cell, _CENTER[given.version], _SIZE[given.version]
    where = f"x: {center.format(cell.column)}; y: {center.format(cell.row)}; w, h: {size}"
    phases = [
        Phase("Center and size in pixels", where, tuple(_box_steps(given))),
        Phase("Left, top, right, bottom", "the center ± half of the size", tuple(_edge_steps(given))),
    ]
    if given.version == "v1":
        rule = "score = c · p_obj; both are linear, and c is that of the cell"
    else:
        phases.append(Phase("Objectness", "o = σ(p_obj) = 1 / (1 + exp -p_obj)", tuple(_objectness_steps(given))))
        rule = "c' = exp c / Σ exp c" if given.version == "v2" else "c' = σ(c), each class by itself"
        phases.append(Phase("Probabilities of the classes", rule, tuple(_probability_steps(given))))
        rule = "score = c' · o"
    phases.append(Phase("Scores", rule, tuple(_score_steps(given))))
    rule = f"a score above {format_number(given.confidence)} stays"
    phases.append(Phase("Which stay", rule, tuple(_choice_steps(given))))
    drawing = Drawing("The grid, the cell and its boxes", _extent(given), tuple(_shapes(given)))
    return Trace(f"YOLO {given.version}: one cell", tuple(_grids(given, phases)), tuple(phases), drawing)


def _grids(given: Descriptors, phases: list[Phase]) -> Iterator[Grid]:
    column = (len(given.t), 1)
    yield input_grid("t", "t_x, t_y, t_w, t_h; one box per row", given.t)
    yield input_grid("c", "classes", given.c)
    yield input_grid("p_obj", "objectness", given.values[:, -1:])
    if given.anchors is not None:
        yield input_grid("anchor", "width, height in pixels", given.anchors)
    yield result_grid("b", "center x, y, width, height", given.t.shape, phases)
    yield result_grid("box", "left, top, right, bottom", given.t.shape, phases)
    if given.version != "v1":
        yield result_grid("o", "objectness as a probability", column, phases)
        yield result_grid("c'", "probabilities", given.c.shape, phases)
    yield result_grid("score", "one column per class", given.c.shape, phases)
    yield result_grid("stays", "1: yes, 0: no", given.c.shape, phases)


def _decoded(given: Descriptors, box: int, axis: int) -> tuple[float, str]:
    """One of center x and y, width and height in pixels, and its calculation."""
    t, cell = float(given.t[box, axis]), given.cell
    if axis < 2:
        inside, text = t, format_number(t)
        if given.version != "v1":
            inside, text = _sigmoid(t), f"σ({format_number(t)})"
        value = (inside + (cell.column, cell.row)[axis]) * cell.side
        left = f"({text} + {(cell.column, cell.row)[axis]})·{format_number(cell.side)}"
    elif given.anchors is None:
        value = t**2 * cell.image
        left = f"{format_factor(t)}²·{format_number(cell.image)}"
    else:
        anchor = float(given.anchors[box, axis - 2])
        value = anchor * math.exp(t)
        left = f"{format_number(anchor)}·exp({format_number(t)})"
    return value, f"{left} = {format_number(value)}"


def _box_steps(given: Descriptors) -> Iterator[Step]:
    for box, axis in np.ndindex(*given.t.shape):
        value, text = _decoded(given, box, axis)
        inputs: list[Cell] = [("t", box, axis)]
        marks: list[tuple[str, Mark]] = [(f"center {box + 1}", "drawn")]
        if axis > 1 and given.anchors is not None:
            inputs.append(("anchor", box, axis - 2))
            marks.append((f"anchor {box + 1}", "brief"))
        cell = ("b", box, axis)
        yield Step(format_cell(cell), (), (text,), tuple(inputs), ((cell, value),), tuple(marks))


def _edge_steps(given: Descriptors) -> Iterator[Step]:
    for box, axis in np.ndindex(*given.edges.shape):
        center, size = (float(given.boxes[box, axis % 2 + offset]) for offset in (0, 2))
        value, sign = float(given.edges[box, axis]), "-" if axis < 2 else "+"
        text = f"{format_number(center)} {sign} {format_number(size)} / 2 = {format_number(value)}"
        cell, inputs = ("box", box, axis), (("b", box, axis % 2), ("b", box, axis % 2 + 2))
        yield Step(format_cell(cell), (), (text,), inputs, ((cell, value),), ((f"box {box + 1}", "drawn"),))


def _objectness_steps(given: Descriptors) -> Iterator[Step]:
    for box, (raw, value) in enumerate(zip(given.values[:, -1].tolist(), given.objectness, strict=True)):
        yield value_step(("o", box, 0), value, _sigmoid_text(raw), [("p_obj", box, 0)])


def _probability_steps(given: Descriptors) -> Iterator[Step]:
    for box, k in np.ndindex(*given.c.shape):
        raw, value = float(given.c[box, k]), float(given.probabilities[box, k])
        text, inputs = _sigmoid_text(raw), [("c", box, k)]
        if given.version == "v2":
            powers = np.exp(given.c[box]).tolist()
            text = f"{format_number(powers[k])} / ({format_sum(powers)}) = {format_number(value)}"
            inputs = row_cells("c", box, len(powers))
        yield value_step(("c'", box, k), value, text, inputs)


def _score_steps(given: Descriptors) -> Iterator[Step]:
    names = ("c", "p_obj") if given.version == "v1" else ("c'", "o")
    for box, k in np.ndindex(*given.c.shape):
        probability, objectness = float(given.probabilities[box, k]), given.objectness[box]
        value = probability * objectness
        text = f"{format_number(probability)}·{format_factor(objectness)} = {format_number(value)}"
        yield value_step(("score", box, k), value, text, [(names[0], box, k), (names[1], box, 0)])


def _choice_steps(given: Descriptors) -> Iterator[Step]:
    limit = format_number(given.confidence)
    for box in range(len(given.t)):
        scores = (given.probabilities[box] * given.objectness[box]).tolist()
        stays = [score > given.confidence for score in scores]
        lines = [
            f"class {k}: {format_number(score)} {f'> {limit}: stays' if stays[k - 1] else f'is not above {limit}'}"
            for k, score in enumerate(scores, 1)
        ]
        outputs = tuple((("stays", box, k), float(each)) for k, each in enumerate(stays))
        mark: Mark = "selected" if any(stays) else "removed"
        inputs = tuple(row_cells("score", box, len(scores)))
        yield Step(f"box {box + 1}", (), tuple(lines), inputs, outputs, ((f"box {box + 1}", mark),))


def _extent(given: Descriptors) -> tuple[float, float, float, float]:
    """The image with a margin of a third of a cell, so that boxes that leave it are seen to do so."""
    margin = given.cell.side / 3
    return -margin, -margin, given.cell.image + margin, given.cell.image + margin


def _shapes(given: Descriptors) -> Iterator[Shape]:
    cell = given.cell
    for index in range(cell.cells + 1):
        at = index * cell.side
        yield Shape(f"row line {index}", "line", ((0, at), (cell.image, at)))
        yield Shape(f"column line {index}", "line", ((at, 0), (at, cell.image)))
    corner = np.array([cell.column, cell.row]) * cell.side
    own = np.concatenate([corner, corner + cell.side])
    yield Shape("cell", "area", box_shape("", own).points)
    for box, edges in enumerate(given.edges):
        if given.anchors is not None:
            half, middle = given.anchors[box] / 2, corner + cell.side / 2
            yield box_shape(f"anchor {box + 1}", np.concatenate([middle - half, middle + half]), f"anchor {box + 1}")
        scores = (given.probabilities[box] * given.objectness[box]).tolist()
        best = int(np.argmax(scores))
        label = f"{box + 1}: class {best + 1}, {format_number(scores[best])}"
        yield box_shape(f"box {box + 1}", edges, label)
        yield Shape(f"center {box + 1}", "dot", ((float(given.boxes[box, 0]), float(given.boxes[box, 1])),))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _sigmoid_text(x: float) -> str:
    return f"1 / (1 + exp({format_number(-x)})) = {format_number(_sigmoid(x))}"
