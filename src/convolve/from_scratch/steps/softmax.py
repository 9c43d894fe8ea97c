"""Softmax with cross-entropy, from scores to the loss and back; slides "2레이어 네트워크의 구현 예" (dy = (y - t) / N).

The scores become positive (eˣ), then shares of their sum; the loss of a row is -log of the true class's share, and of
the batch the mean. Backward all of it comes down to p - t: what is believed less what is true.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.scores import Scores, mean_loss
from convolve.from_scratch.steps.values import Grid, Part, Step, Walk, given, made
from convolve.from_scratch.steps.wording import added, factor, number
from convolve.from_scratch.steps.writing import across, written

_FARTHEST = 300


def softmax_walk(scores: Scores, *, backward: bool) -> Walk:
    """Forward to the mean loss L, and back to dx if asked. Raises `ValueError` for scores whose eˣ would overflow."""
    if np.abs(scores.x).max() > _FARTHEST:
        raise ValueError(
            f"A score beyond ±{_FARTHEST} makes eˣ overflow; take the same number off each score of its row, which "
            "changes no share."
        )
    powers = np.exp(scores.x)
    shares = powers / powers.sum(1, keepdims=True)
    parts = [
        Part("Forward: the exponentials e", "e = exp x", tuple(_powers(scores))),
        Part("Forward: their sum s", "s = Σ e, over the classes", tuple(_sums(powers))),
        Part("Forward: the shares p", "p = e / s", tuple(_shares(powers))),
        Part("Forward: the loss ℓ of each row", "ℓ = -log p of the true class", tuple(_losses(scores, shares))),
        mean_loss([-math.log(shares[n, label]) for n, label in enumerate(scores.labels)]),
    ]
    if backward:
        parts.append(Part("Backward: the scores' slope dx", "dx = (p - t) / N", tuple(_dx(scores, shares))))
    return Walk("Softmax with cross-entropy", _grids(scores, tuple(parts), backward=backward), tuple(parts))


def _powers(scores: Scores) -> Iterator[Step]:
    for n, k in np.ndindex(*scores.x.shape):
        x = float(scores.x[n, k])
        yield written(("e", n, k), math.exp(x), f"exp({number(x)}) = {number(math.exp(x))}", [("x", n, k)])


def _sums(powers: Array) -> Iterator[Step]:
    for n, row in enumerate(powers.tolist()):
        text = f"{added(row)} = {number(sum(row))}"
        yield written(("s", n, 0), sum(row), text, across("e", n, len(row)))


def _shares(powers: Array) -> Iterator[Step]:
    for n, k in np.ndindex(*powers.shape):
        power, total = float(powers[n, k]), sum(powers[n].tolist())
        text = f"{number(power)} / {number(total)} = {number(power / total)}"
        yield written(("p", n, k), power / total, text, [("e", n, k), ("s", n, 0)])


def _losses(scores: Scores, shares: Array) -> Iterator[Step]:
    for n, label in enumerate(scores.labels):
        share = float(shares[n, label])
        text = f"-log({number(share)}) = {number(-math.log(share))}"
        yield written(("ℓ", n, 0), -math.log(share), text, [("p", n, label), ("t", n, label)])


def _dx(scores: Scores, shares: Array) -> Iterator[Step]:
    count = len(scores.x)
    for n, k in np.ndindex(*shares.shape):
        share, truth = float(shares[n, k]), float(scores.truth[n, k])
        value = (share - truth) / count
        text = f"({number(share)} - {factor(truth)}) / {count} = {number(value)}"
        yield written(("dx", n, k), value, text, [("p", n, k), ("t", n, k)])


def _grids(scores: Scores, parts: tuple[Part, ...], *, backward: bool) -> tuple[Grid, ...]:
    shape = len(scores.x), scores.x.shape[1]
    grids = [
        given("x", "scores, a row for each example", scores.x),
        given("t", "truth, 1 at the true class", scores.truth),
    ]
    grids += [made("e", "exponentials", shape, parts), made("s", "their sum", (len(scores.x), 1), parts)]
    grids += [
        made("p", "shares, each row adding up to 1", shape, parts),
        made("ℓ", "loss of each row", (len(scores.x), 1), parts),
    ]
    grids.append(made("L", "loss", (1, 1), parts))
    return (*grids, made("dx", "slope along x", shape, parts)) if backward else tuple(grids)
