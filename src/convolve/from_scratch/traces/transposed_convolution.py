"""Transposed convolution, value by value; slides "Deconvolution", and Long et al. 2015, section 3.3.

Forward, each x stamps the kernel, times itself, onto the output; the stamps lie the stride apart, and where they
overlap they add up. The padding is then cut off. Backward, each x gets what its stamp touched: dx is an ordinary
convolution of dy with the same kernel, and each weight collects x·δ from all stamps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import (
    Cell,
    Grid,
    Phase,
    Step,
    Term,
    TermTable,
    Trace,
    check_delta,
    format_cell,
    format_equation,
    format_factor,
    format_number,
    grid_name,
    input_grid,
    product,
    result_grid,
)
from convolve.from_scratch.windows import Sliding

Pair = tuple[int, int]


@dataclass(frozen=True)
class TransposedInputs:
    """x (C, H, W), w (filters, C, FH, FW), b (filters,) or None, and how the stamps lie. Raises `ValueError` when the
    channels or the bias do not match, or the padding leaves nothing.
    """

    x: Array
    w: Array
    b: Array | None
    sliding: Sliding

    def __post_init__(self) -> None:
        if self.w.shape[1] != len(self.x):
            raise ValueError(f"The kernel has {self.w.shape[1]} channels and the input {len(self.x)}; give as many.")
        if self.b is not None and self.b.shape != (len(self.w),):
            raise ValueError(f"The bias has {self.b.size} values for {len(self.w)} filters; give one for each.")
        if min(self.shape) < 1:
            raise ValueError(
                f"A padding of {self.sliding.padding} cuts off all of the {self.whole[0]}x{self.whole[1]} output; "
                "take less."
            )

    @property
    def whole(self) -> Pair:
        """(rows, columns) that the stamps cover, before the padding is cut off."""
        down, right = (
            self.sliding.stride * (side - 1) + self.sliding.extent(taps)
            for side, taps in zip(self.x.shape[1:], self.w.shape[2:], strict=True)
        )
        return down, right

    @property
    def shape(self) -> tuple[int, int, int]:
        """(filters, OH, OW) of the output."""
        return len(self.w), self.whole[0] - 2 * self.sliding.padding, self.whole[1] - 2 * self.sliding.padding

    @property
    def finishes(self) -> bool:
        """Whether anything comes after the stamps: padding is cut off, or a bias is added."""
        return self.b is not None or self.sliding.padding > 0

    def target(self, position: Pair, tap: Pair) -> Pair:
        """The cell, counted before the padding is cut off, that a tap of the stamp at x's ``position`` touches."""
        stride, dilation = self.sliding.stride, self.sliding.dilation
        return stride * position[0] + dilation * tap[0], stride * position[1] + dilation * tap[1]

    def touched(self, position: Pair) -> list[tuple[Pair, Pair]]:
        """(tap, cell of the output) of a stamp, without what is cut off."""
        border, (_, rows, columns) = self.sliding.padding, self.shape
        pairs = [(tap, self.target(position, tap)) for tap in np.ndindex(*self.w.shape[2:])]
        cut = [((int(tap[0]), int(tap[1])), (row - border, column - border)) for tap, (row, column) in pairs]
        return [(tap, cell) for tap, cell in cut if 0 <= cell[0] < rows and 0 <= cell[1] < columns]

    def name(self, letter: str, index: int) -> str:
        """The grid of a channel of x (or dx), or of a filter's output."""
        return grid_name(letter, index, len(self.x) if letter.endswith("x") else len(self.w))

    def kernel_name(self, letter: str, f: int, c: int) -> str:
        """The grid of filter f's weights w (or dw) for channel c."""
        numbers = [str(n + 1) for n, count in zip((f, c), self.w.shape[:2], strict=True) if count > 1]
        return letter + ("," if max(self.w.shape[:2]) > 9 else "").join(numbers)


def transposed_trace(given: TransposedInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (filters, OH, OW) if it is given."""
    index = ", ".join(_index(given.sliding, *letters) for letters in ("iu", "jv"))
    sizes = "whole size = S·(H - 1) + F" + (", with D·(F - 1) + 1 in place of F" if given.sliding.dilation > 1 else "")
    stamped = "z" if given.finishes else "y"
    phases = [
        Phase("The output's rows and columns", f"{sizes}; O = whole size - 2P", tuple(_size_steps(given))),
        Phase(
            "Forward: each x stamps the kernel", f"{stamped}[{index}] += x[i,j] · w[u,v]", tuple(_stamp_steps(given))
        ),
    ]
    if given.finishes:
        formula = f"y = z without its border of {given.sliding.padding}" + ("" if given.b is None else " + b")
        phases.append(Phase("Forward: the output y", formula, tuple(_output_steps(given))))
    if dy is not None:
        check_delta(dy, given.shape)
        border = f", {given.sliding.padding} less in each direction" if given.sliding.padding else ""
        phases += [
            Phase(
                "Backward: the weight gradient dw",
                f"dw[u,v] = Σ x[i,j] · dy[{index}]{border}",
                tuple(_dw_steps(given, dy)),
            ),
            Phase(
                "Backward: the input gradient dx",
                f"dx[i,j] = Σ w[u,v] · dy[{index}]{border}",
                tuple(_dx_steps(given, dy)),
            ),
        ]
        if given.b is not None:
            phases.append(Phase("Backward: the bias gradient db", "db = Σ dy", tuple(_db_steps(given, dy))))
    return Trace("Transposed convolution", _grids(given, dy, phases), tuple(phases))


def _index(sliding: Sliding, position: str, tap: str) -> str:
    """The index, counted from 1, that a tap touches."""
    if sliding.stride == sliding.dilation == 1:
        return f"{position}+{tap}-1"
    stride = f"{sliding.stride}" if sliding.stride > 1 else ""
    dilation = f"{sliding.dilation}" if sliding.dilation > 1 else ""
    return f"{stride}({position}-1)+{dilation}({tap}-1)+1"


def _size_steps(given: TransposedInputs) -> Iterator[Step]:
    sliding = given.sliding
    for axis, name in enumerate(("rows", "columns")):
        side, taps = given.x.shape[1 + axis], given.w.shape[2 + axis]
        whole, cut = given.whole[axis], 2 * sliding.padding
        text = f"{sliding.stride}·({side} - 1) + {sliding.extent(taps)} = {whole}"
        lines = (text, f"{whole} - 2·{sliding.padding} = {whole - cut}")
        yield Step(name, (), lines, (), ((("O", 0, axis), float(whole - cut)),))


def _stamp_steps(given: TransposedInputs) -> Iterator[Step]:
    """For each filter, each x in reading order with all its channels."""
    letter = "z" if given.finishes else "y"
    for f in range(len(given.w)):
        target, z = given.name(letter, f), np.zeros(given.whole)
        for c, i, j in np.ndindex(*given.x.shape):
            x, name = float(given.x[c, i, j]), given.name("x", c)
            rows = tuple(tuple(product(x, weight) for weight in row) for row in given.w[f, c].tolist())
            lines, outputs, w = [], [], given.kernel_name("w", f, c)
            for tap in np.ndindex(*given.w.shape[2:]):
                cell, part = given.target((i, j), (tap[0], tap[1])), x * float(given.w[f, c, *tap])
                before = float(z[cell])
                z[cell] += part
                if before:  # another stamp lies here already
                    total = f"{format_number(before)} + {format_factor(part)} = {format_number(before + part)}"
                    lines.append(f"{format_cell((target, *cell))} = {total}")
                outputs.append(((target, *cell), float(z[cell])))
            text = f"{format_cell((name, i, j))} = {format_number(x)} stamps {format_number(x)}·{w}"
            inputs: list[Cell] = [(name, i, j), *((w, int(u), int(v)) for u, v in np.ndindex(*given.w.shape[2:]))]
            title = format_cell((name, i, j)) + (f" for {target}" if len(given.w) > 1 else "")
            yield Step(title, (TermTable(rows),), (text, *lines), tuple(inputs), tuple(outputs))


def stamped_sum(given: TransposedInputs) -> Array:
    """Z (filters, …): all stamps, before the padding is cut off."""
    z = np.zeros((len(given.w), *given.whole))
    for f, c, i, j in np.ndindex(len(given.w), *given.x.shape):
        for u, v in np.ndindex(*given.w.shape[2:]):
            z[f, *given.target((i, j), (u, v))] += given.x[c, i, j] * given.w[f, c, u, v]
    return z


def _output_steps(given: TransposedInputs) -> Iterator[Step]:
    z, border = stamped_sum(given), given.sliding.padding
    for f, i, j in np.ndindex(*given.shape):
        value, source = float(z[f, i + border, j + border]), (given.name("z", f), i + border, j + border)
        values = [value] if given.b is None else [value, float(given.b[f])]
        y, inputs = (given.name("y", f), i, j), [source] if given.b is None else [source, ("b", 0, f)]
        text = f"{format_cell(source)}" + ("" if given.b is None else f" + b = {format_equation(values, sum(values))}")
        text += f" = {format_number(value)}" if given.b is None else ""
        yield Step(format_cell(y), (), (text,), tuple(inputs), ((y, sum(values)),))


def _dw_steps(given: TransposedInputs, dy: Array) -> Iterator[Step]:
    border, (_, height, width) = given.sliding.padding, given.shape
    for f, c, u, v in np.ndindex(*given.w.shape):
        rows: list[tuple[Term, ...]] = []
        inputs: list[Cell] = []
        for i in range(given.x.shape[1]):
            cells = [(j, *given.target((i, j), (u, v))) for j in range(given.x.shape[2])]
            inside = [(j, p - border, q - border) for j, p, q in cells]
            inside = [(j, p, q) for j, p, q in inside if 0 <= p < height and 0 <= q < width]
            rows.append(tuple(product(given.x[c, i, j], dy[f, p, q]) for j, p, q in inside))
            inputs += [(given.name("x", c), i, j) for j, _, _ in inside]
            inputs += [(given.name("dy", f), p, q) for _, p, q in inside]
        yield _sum_step((given.kernel_name("dw", f, c), u, v), [TermTable(tuple(row for row in rows if row))], inputs)


def _dx_steps(given: TransposedInputs, dy: Array) -> Iterator[Step]:
    for c, i, j in np.ndindex(*given.x.shape):
        tables, inputs = [], []
        for f in range(len(given.w)):
            rows: dict[int, list[Term]] = {}
            for tap, cell in given.touched((i, j)):
                rows.setdefault(tap[0], []).append(product(given.w[f, c, *tap], dy[f, *cell]))
                inputs += [(given.kernel_name("w", f, c), *tap), (given.name("dy", f), *cell)]
            label = f"{given.kernel_name('w', f, c)} · {given.name('dy', f)}" if len(given.w) > 1 else ""
            tables.append(TermTable(tuple(map(tuple, rows.values())), label))
        yield _sum_step((given.name("dx", c), i, j), tables, inputs)


def _db_steps(given: TransposedInputs, dy: Array) -> Iterator[Step]:
    for f in range(len(dy)):
        rows = tuple(tuple(Term(format_number(value), value) for value in row) for row in dy[f].tolist())
        inputs: list[Cell] = [(given.name("dy", f), i, j) for i, j in np.ndindex(*dy.shape[1:])]
        yield _sum_step(("db", 0, f), [TermTable(rows)], inputs)


def _sum_step(cell: Cell, tables: list[TermTable], inputs: list[Cell]) -> Step:
    """The step that sums all its terms."""
    tables = [table for table in tables if table.rows]
    values = [term.value for table in tables for row in table.rows for term in row]
    if len(tables) > 1:  # the total of each
        values = [table.total for table in tables]
    equation = format_equation(values, sum(values)) if values else "all of it is cut off: 0"
    return Step(format_cell(cell), tuple(tables), (equation,), tuple(inputs), ((cell, float(sum(values))),))


def _grids(given: TransposedInputs, dy: Array | None, phases: list[Phase]) -> tuple[Grid, ...]:
    filters, channels = range(len(given.w)), range(len(given.x))
    kernels = list(np.ndindex(*given.w.shape[:2]))
    grids = [input_grid(given.name("x", c), "input", given.x[c]) for c in channels]
    grids += [input_grid(given.kernel_name("w", f, c), "kernel", given.w[f, c]) for f, c in kernels]
    grids += [] if given.b is None else [input_grid("b", "bias", given.b[None])]
    grids.append(result_grid("O", "output: rows, columns", (1, 2), phases))
    if given.finishes:
        grids += [result_grid(given.name("z", f), "all stamps", given.whole, phases) for f in filters]
    grids += [result_grid(given.name("y", f), "output", given.shape[1:], phases) for f in filters]
    if dy is None:
        return tuple(grids)
    grids += [input_grid(given.name("dy", f), "δ = ∂L/∂y", dy[f]) for f in filters]
    grids += [result_grid(given.kernel_name("dw", f, c), "∂L/∂w", given.w.shape[2:], phases) for f, c in kernels]
    grids += [result_grid(given.name("dx", c), "∂L/∂x", given.x.shape[1:], phases) for c in channels]
    grids += [] if given.b is None else [result_grid("db", "∂L/∂b", (1, len(given.w)), phases)]
    return tuple(grids)
