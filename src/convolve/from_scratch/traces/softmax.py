"""Softmax, value by value: to its Jacobian, or with cross-entropy to the loss and back to the scores.

The largest score of a row is subtracted from all of them, which cancels in the probabilities and keeps eˣ from
overflowing; then scores become positive (eˣ), then probabilities. Each score changes each probability of its row: their
Jacobian is ∂p[i]/∂x[j] = p[i] (1 - p[i]) where i = j, else -p[i] p[j].

With cross-entropy (slides "2레이어 네트워크의 구현 예", dy = (y - t) / N), a row's loss is -log of its true class's
probability, and the loss L is their mean. Backward, the product of both gradients is p - t: probability minus target.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.losses import cross_entropy_forward, softmax_forward
from convolve.from_scratch.traces.losses import Scores, mean_loss, row_sum_steps
from convolve.from_scratch.traces.trace import (
    Grid,
    Phase,
    Step,
    Trace,
    format_factor,
    format_number,
    grid_name,
    input_grid,
    product,
    result_grid,
    row_cells,
    value_step,
)


def softmax_trace(x: Array) -> Trace:
    """Scores x (N, classes) to the probabilities p, and the Jacobian J (classes, classes) of each row."""
    names = [grid_name("J", n, len(x)) for n in range(len(x))]
    p, _ = softmax_forward(x)
    phases = _forward(x)
    for n, name in enumerate(names):
        row = "p" if len(x) == 1 else f"row {n + 1} of p"
        rule = "J[i,j] = ∂p[i] / ∂x[j] = p[i] (1 - p[i]) where i = j, else -p[i] p[j]"
        phases.append(Phase(f"The Jacobian {name} of {row}", rule, tuple(_jacobian_steps(name, n, p))))
    grids = [input_grid("x", "scores, one example per row", x), *_forward_grids(x, phases)]
    grids += [result_grid(name, "∂p/∂x, each row sums to 0", (x.shape[1], x.shape[1]), phases) for name in names]
    return Trace("Softmax", tuple(grids), tuple(phases))


def softmax_loss_trace(scores: Scores, *, backward: bool) -> Trace:
    """Softmax with cross-entropy: forward to the mean loss L, and back to dx if asked."""
    x = scores.x
    phases = _forward(x)
    losses = [cross_entropy_forward(x[n : n + 1], np.array([label]))[0] for n, label in enumerate(scores.labels)]
    rule = "ℓ = -log p of the true class = log s - z"
    phases += [Phase("Forward: the loss ℓ of each row", rule, tuple(_log_steps(scores, losses))), mean_loss(losses)]
    if backward:
        phases.append(Phase("Backward: the score gradient dx", "dx = (p - t) / N", tuple(_dx_steps(scores))))
    grids = [
        input_grid("x", "scores, one example per row", x),
        input_grid("t", "target, 1 at the true class", scores.one_hot),
        *_forward_grids(x, phases),
        result_grid("ℓ", "loss of each row", (len(x), 1), phases),
        result_grid("L", "loss", (1, 1), phases),
    ]
    grids += [result_grid("dx", "∂L/∂x", x.shape, phases)] if backward else []
    return Trace("Softmax with cross-entropy", tuple(grids), tuple(phases))


def _forward(x: Array) -> list[Phase]:
    e = np.exp(x - x.max(1, keepdims=True))
    return [
        Phase("Forward: the largest score m", "m = max x, over the classes", tuple(_largest_steps(x))),
        Phase("Forward: the shifted scores z", "z = x - m", tuple(_shift_steps(x))),
        Phase("Forward: the exponentials e", "e = exp z", tuple(_exponential_steps(x))),
        Phase("Forward: their sum s", "s = Σ e, over the classes", tuple(row_sum_steps("s", "e", e))),
        Phase("Forward: the probabilities p", "p = e / s", tuple(_probability_steps(e))),
    ]


def _forward_grids(x: Array, phases: list[Phase]) -> list[Grid]:
    column = (len(x), 1)
    return [
        result_grid("m", "largest score", column, phases),
        result_grid("z", "shifted scores, the largest is 0", x.shape, phases),
        result_grid("e", "exponentials", x.shape, phases),
        result_grid("s", "their sum", column, phases),
        result_grid("p", "probabilities, each row sums to 1", x.shape, phases),
    ]


def _largest_steps(x: Array) -> Iterator[Step]:
    for n, row in enumerate(x.tolist()):
        text = f"max({', '.join(map(format_number, row))}) = {format_number(max(row))}"
        yield value_step(("m", n, 0), max(row), text, row_cells("x", n, len(row)))


def _shift_steps(x: Array) -> Iterator[Step]:
    for n, k in np.ndindex(*x.shape):
        score, largest = float(x[n, k]), float(x[n].max())
        text = f"{format_number(score)} - {format_factor(largest)} = {format_number(score - largest)}"
        yield value_step(("z", n, k), score - largest, text, [("x", n, k), ("m", n, 0)])


def _exponential_steps(x: Array) -> Iterator[Step]:
    for n, k in np.ndindex(*x.shape):
        z = float(x[n, k] - x[n].max())
        e = float(np.exp(z))
        yield value_step(("e", n, k), e, f"exp({format_number(z)}) = {format_number(e)}", [("z", n, k)])


def _probability_steps(e: Array) -> Iterator[Step]:
    for n, k in np.ndindex(*e.shape):
        power, total = float(e[n, k]), sum(e[n].tolist())
        text = f"{format_number(power)} / {format_number(total)} = {format_number(power / total)}"
        yield value_step(("p", n, k), power / total, text, [("e", n, k), ("s", n, 0)])


def _jacobian_steps(name: str, n: int, p: Array) -> Iterator[Step]:
    for i, j in np.ndindex(p.shape[1], p.shape[1]):
        term = product(p[n, i], 1 - p[n, i]) if i == j else product(-p[n, i], p[n, j])
        text = f"{term.text} = {format_number(term.value)}"
        yield value_step((name, i, j), term.value, text, [("p", n, i), ("p", n, j)] if i != j else [("p", n, i)])


def _log_steps(scores: Scores, losses: list[float]) -> Iterator[Step]:
    for n, label in enumerate(scores.labels):
        z = scores.x[n] - scores.x[n].max()
        total = format_number(float(np.exp(z).sum()))
        text = f"log({total}) - {format_factor(float(z[label]))} = {format_number(losses[n])}"
        yield value_step(("ℓ", n, 0), losses[n], text, [("s", n, 0), ("z", n, label), ("t", n, label)])


def _dx_steps(scores: Scores) -> Iterator[Step]:
    (p, _), count, targets = softmax_forward(scores.x), len(scores.x), scores.one_hot
    for n, k in np.ndindex(*p.shape):
        probability, target = float(p[n, k]), float(targets[n, k])
        value = (probability - target) / count
        text = f"({format_number(probability)} - {format_factor(target)}) / {count} = {format_number(value)}"
        yield value_step(("dx", n, k), value, text, [("p", n, k), ("t", n, k)])
