"""The multiclass hinge (SVM) loss; assignment 1 of CS231n, which the lecture sets as homework.

Each wrong class should stay behind the true one by 1; what it lacks is its margin, and a row's loss is their sum.
Backward every wrong class that lacks something is pushed down once, and the true class up as often.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.scores import Scores, mean_loss
from convolve.from_scratch.steps.values import Grid, Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import added, factor, number
from convolve.from_scratch.steps.writing import across, written


def hinge_walk(scores: Scores, *, backward: bool) -> Walk:
    """Forward to the mean loss L, and back to dx if asked."""
    margins = np.maximum(scores.x - scores.x[scores.truth == 1][:, None] + 1, 0) * (1 - scores.truth)
    parts = [
        Part("Forward: the margins m", "m[j] = max(0, x[j] - x[true] + 1), wrong classes j", tuple(_margins(scores))),
        Part("Forward: the loss ℓ of each row", "ℓ = Σ m", tuple(_losses(margins))),
        mean_loss([sum(row) for row in margins.tolist()]),
    ]
    if backward:
        rule = "dx[j] = 1/N where m[j] > 0, else 0; dx[true] = -(how many) / N"
        parts.append(Part("Backward: the scores' slope dx", rule, tuple(_dx(scores, margins))))
    return Walk("Multiclass hinge (SVM) loss", _grids(scores, tuple(parts), backward=backward), tuple(parts))


def _margins(scores: Scores) -> Iterator[Step]:
    for n, k in np.ndindex(*scores.x.shape):
        true = scores.labels[n]
        score, best = float(scores.x[n, k]), float(scores.x[n, true])
        if k == true:
            yield written(("m", n, k), 0, "the true class itself: 0", [("t", n, k)])
            continue
        lacking = score - best + 1
        text = f"max(0, {number(score)} - {factor(best)} + 1) = max(0, {number(lacking)}) = {number(max(0.0, lacking))}"
        yield written(("m", n, k), max(0.0, lacking), text, [("x", n, k), ("x", n, true)])


def _losses(margins: Array) -> Iterator[Step]:
    for n, row in enumerate(margins.tolist()):
        text = f"{added(row)} = {number(sum(row))}"
        yield written(("ℓ", n, 0), sum(row), text, across("m", n, len(row)))


def _dx(scores: Scores, margins: Array) -> Iterator[Step]:
    count = len(scores.x)
    for n, k in np.ndindex(*margins.shape):
        if k == scores.labels[n]:
            near = int((margins[n] > 0).sum())
            text = f"{near} too near: -{near} / {count} = {number(-near / count)}" if near else "none is too near: 0"
            yield written(("dx", n, k), -near / count, text, across("m", n, margins.shape[1]))
            continue
        margin = float(margins[n, k])
        value = float(margin > 0) / count
        text = f"m = {number(margin)} > 0: 1 / {count} = {number(value)}" if margin > 0 else "m = 0: 0"
        yield written(("dx", n, k), value, text, [("m", n, k)])


def _grids(scores: Scores, parts: tuple[Part, ...], *, backward: bool) -> tuple[Grid, ...]:
    shape = len(scores.x), scores.x.shape[1]
    grids = [
        given("x", "scores, a row for each example", scores.x),
        given("t", "truth, 1 at the true class", scores.truth),
    ]
    grids += [made("m", "margins", shape, parts), made("ℓ", "loss of each row", (len(scores.x), 1), parts)]
    grids.append(made("L", "loss", (1, 1), parts))
    return (*grids, made("dx", "slope along x", shape, parts)) if backward else tuple(grids)
