"""Convolution in one and two dimensions, value by value; slides "합성곱연산 (Convolution)", "CNN 1D backpropagation".

Forward, each output is a sum over its window. Backward, each weight collects δ·x from all outputs, since it contributed
to all of them (∂L/∂wᵢ = Σⱼ δⱼ x₍ᵢ₊ⱼ₋₁₎), and each x collects w·δ from the outputs that it contributed to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.convolution_drawing import draw_windows
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
    format_number,
    grid_name,
    input_grid,
    product,
    result_grid,
)
from convolve.from_scratch.traces.windows import WindowPositions
from convolve.from_scratch.windows import Sliding


@dataclass(frozen=True)
class ConvolutionInputs:
    """x (C, H, W), w (filters, C / groups, FH, FW), b (filters,) or None, and how the window slides; in one dimension
    H and FH are 1. With ``groups`` the filters form that many equal groups, and each sees only its own channels. Raises
    `ValueError` when the channels or the bias do not match, or the window does not fit.
    """

    x: Array
    w: Array
    b: Array | None
    sliding: Sliding
    one_dimensional: bool = False
    groups: int = 1

    def __post_init__(self) -> None:
        channels, filters = len(self.x), len(self.w)
        if channels % self.groups or filters % self.groups:
            raise ValueError(
                f"{channels} channels and {filters} filters do not divide into {self.groups} equal groups; take a "
                "number of groups that divides both."
            )
        if self.w.shape[1] * self.groups != channels:
            raise ValueError(
                f"The kernel has {self.w.shape[1]} channels and the input {channels}; with groups = {self.groups} "
                f"the kernel needs {channels // self.groups}."
            )
        if self.b is not None and self.b.shape != (filters,):
            raise ValueError(f"The bias has {self.b.size} values for {filters} filters; give one for each.")
        _ = self.positions.output

    @property
    def positions(self) -> WindowPositions:
        """The positions of the window."""
        down = Sliding() if self.one_dimensional else self.sliding
        return WindowPositions(self.x.shape[1:], self.w.shape[2:], down, self.sliding)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(filters, OH, OW) of the output."""
        return (len(self.w), *self.positions.output)

    @property
    def padded(self) -> Array:
        """The input (C, …) with its zeros around it."""
        return np.pad(self.x, [(0, 0), *((side, side) for side in self.positions.border)])

    def name(self, letter: str, index: int) -> str:
        """The grid of a channel of x (or dx), or of a filter's output y (or dy)."""
        return grid_name(letter, index, len(self.w) if letter.endswith("y") else len(self.x))

    def kernel_name(self, letter: str, f: int, c: int) -> str:
        """The grid of filter f's weights w (or dw) for its channel c."""
        numbers = [str(n + 1) for n, count in zip((f, c), self.w.shape[:2], strict=True) if count > 1]
        return letter + ("," if max(self.w.shape[:2]) > 9 else "").join(numbers)

    def channels(self, f: int) -> list[tuple[int, int]]:
        """For each of filter f's own channels, in order, the input's channel that it reads."""
        first = f // (len(self.w) // self.groups) * self.w.shape[1]
        return [(c, first + c) for c in range(self.w.shape[1])]


def convolution_trace(given: ConvolutionInputs, dy: Array | None) -> Trace:
    """Forward to y, and backward from ``dy`` (filters, OH, OW) if it is given."""
    phases = [Phase("Forward: the output y", _forward_formula(given), tuple(_forward_steps(given)))]
    if dy is not None:
        check_delta(dy, given.shape)
        dw = "dw[i] = Σ dy[j]" if given.one_dimensional else "dw[u,v] = Σ dy[i,j]"
        dw += f" · x[{_x_index(given, 'ji' if given.one_dimensional else 'iu')}]"
        dx = "dx = Σ dy · w, over the outputs that x contributed to"
        phases.append(Phase("Backward: the weight gradient dw", dw, tuple(_dw_steps(given, dy))))
        phases.append(Phase("Backward: the input gradient dx", dx, tuple(_dx_steps(given, dy))))
        if given.b is not None:
            phases.append(Phase("Backward: the bias gradient db", "db = Σ dy", tuple(_db_steps(given, dy))))
    title = f"Convolution in {'one dimension' if given.one_dimensional else 'two dimensions'}"
    title += f" and {given.groups} groups" if given.groups > 1 else ""
    single = len(given.x) == len(given.w) == 1 and not given.one_dimensional
    drawn, drawing = draw_windows(given.positions, phases) if single and dy is not None else (tuple(phases), None)
    return Trace(title, _grids(given, dy, phases), drawn, drawing)


def _forward_steps(given: ConvolutionInputs) -> Iterator[Step]:
    padded, positions = given.padded, given.positions
    for f, i, j in np.ndindex(*given.shape):
        inputs: list[Cell] = [("b", 0, f)] if given.b is not None else []
        tables: list[TermTable] = []
        for c, channel in given.channels(f):
            x, w = given.name("x", channel), given.kernel_name("w", f, c)
            rows: list[tuple[Term, ...]] = []
            for u in range(positions.kernel[0]):
                reads = [(v, *positions.cell((i, j), (u, v))) for v in range(positions.kernel[1])]
                rows.append(tuple(product(padded[channel, p, q], given.w[f, c, u, v]) for v, p, q in reads))
                inputs += [(x, p, q) for _, p, q in reads] + [(w, u, v) for v, _, _ in reads]
            tables.append(TermTable(tuple(rows), f"{x} · {w}" if len(given.x) > 1 else ""))
        # one channel: its terms; several: the total of each
        summands = [table.total for table in tables]
        if len(tables) == 1:
            summands = [term.value for row in tables[0].rows for term in row]
        bias = [] if given.b is None else [float(given.b[f])]
        y: Cell = (given.name("y", f), i, j)
        total = sum(table.total for table in tables) + sum(bias)
        equation = format_equation([*summands, *bias], total)
        yield Step(_title(given, y), tuple(tables), (equation,), tuple(inputs), ((y, total),))


def _dw_steps(given: ConvolutionInputs, dy: Array) -> Iterator[Step]:
    padded, positions = given.padded, given.positions
    for f, c, u, v in np.ndindex(*given.w.shape):
        _, channel = given.channels(f)[c]
        inputs: list[Cell] = []
        rows: list[tuple[Term, ...]] = []
        for i in range(positions.output[0]):
            reads = [(j, *positions.cell((i, j), (u, v))) for j in range(positions.output[1])]
            rows.append(tuple(product(dy[f, i, j], padded[channel, p, q]) for j, p, q in reads))
            inputs += [(given.name("x", channel), p, q) for _, p, q in reads]
            inputs += [(given.name("dy", f), i, j) for j, _, _ in reads]
        yield _gradient_step(given, (given.kernel_name("dw", f, c), u, v), rows, inputs)


def _dx_steps(given: ConvolutionInputs, dy: Array) -> Iterator[Step]:
    uses, border = given.positions.uses(), given.positions.border
    filters = {f: {channel: c for c, channel in given.channels(f)} for f in range(len(given.w))}
    for channel, p, q in np.ndindex(*given.x.shape):
        cell_uses = uses.get((p + border[0], q + border[1]), ())
        rows: list[tuple[Term, ...]] = []
        inputs: list[Cell] = []
        for f, c in ((f, own[channel]) for f, own in filters.items() if channel in own):
            rows.append(tuple(product(dy[f, *position], given.w[f, c, *tap]) for position, tap in cell_uses))
            inputs += [(given.name("dy", f), *position) for position, _ in cell_uses]
            inputs += [(given.kernel_name("w", f, c), *tap) for _, tap in cell_uses]
        yield _gradient_step(given, (given.name("dx", channel), p, q), rows, inputs)


def _db_steps(given: ConvolutionInputs, dy: Array) -> Iterator[Step]:
    for f in range(len(dy)):
        rows = [tuple(Term(format_number(value), value) for value in row) for row in dy[f].tolist()]
        inputs: list[Cell] = [(given.name("dy", f), i, j) for i, j in np.ndindex(*dy.shape[1:])]
        yield _gradient_step(given, ("db", 0, f), rows, inputs)


def _gradient_step(given: ConvolutionInputs, cell: Cell, rows: list[tuple[Term, ...]], inputs: list[Cell]) -> Step:
    """The step that sums all its terms."""
    table = TermTable(tuple(row for row in rows if row))
    values = [term.value for row in table.rows for term in row]
    equation = format_equation(values, table.total) if values else "no window covers it: 0"
    return Step(_title(given, cell), (table,) if values else (), (equation,), tuple(inputs), ((cell, table.total),))


def _title(given: ConvolutionInputs, cell: Cell) -> str:
    return format_cell(cell, vector=given.one_dimensional or cell[0] == "db")


def _grids(given: ConvolutionInputs, dy: Array | None, phases: list[Phase]) -> tuple[Grid, ...]:
    filters, channels, positions = range(len(given.w)), range(len(given.x)), given.positions
    kernels = list(np.ndindex(*given.w.shape[:2]))
    grids = [input_grid(given.name("x", c), "input", given.padded[c], positions.border) for c in channels]
    grids += [input_grid(given.kernel_name("w", f, c), "kernel", given.w[f, c]) for f, c in kernels]
    grids += [] if given.b is None else [input_grid("b", "bias", given.b[None])]
    grids += [result_grid(given.name("y", f), "output", positions.output, phases) for f in filters]
    if dy is None:
        return tuple(grids)
    grids += [input_grid(given.name("dy", f), "δ = ∂L/∂y", dy[f]) for f in filters]
    grids += [result_grid(given.kernel_name("dw", f, c), "∂L/∂w", positions.kernel, phases) for f, c in kernels]
    grids += [result_grid(given.name("dx", c), "∂L/∂x", positions.size, phases) for c in channels]
    grids += [] if given.b is None else [result_grid("db", "∂L/∂b", (1, len(given.w)), phases)]
    return tuple(grids)


def _forward_formula(given: ConvolutionInputs) -> str:
    bias = "" if given.b is None else " + b"
    channel = "c," if given.w.shape[1] > 1 else ""
    left = f"y[i] = Σ w[{channel}j]" if given.one_dimensional else f"y[i,j] = Σ w[{channel}u,v]"
    return f"{left} · x[{channel}{_x_index(given, 'ij' if given.one_dimensional else 'iu')}]{bias}"


def _x_index(given: ConvolutionInputs, letters: str) -> str:
    """The index, counted from 1 in the padded x, that a tap reads; the letters are of the position and of the tap."""
    sliding = given.sliding
    pairs = [tuple(pair) for pair in ([letters] if given.one_dimensional else [letters, "jv"])]
    if sliding.stride == sliding.dilation == 1:
        return ", ".join("+".join(sorted(pair)) + "-1" for pair in pairs)
    dilation = f"{sliding.dilation}" if sliding.dilation > 1 else ""
    stride = f"{sliding.stride}" if sliding.stride > 1 else ""
    return ", ".join(f"{stride}({position}-1)+{dilation}({tap}-1)+1" for position, tap in pairs)
