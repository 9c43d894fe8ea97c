"""Timings of several sides: they take turns in rounds, never at once; ratios are per round, and the median counts."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from statistics import median

from bench import steps

Side = Callable[[], Callable[[], object]]
"""Builds in its process what is timed."""
_WARM_UP = 2


@dataclass(frozen=True)
class Contest:
    """A training step of our network against the stock one (``stock`` is its name as `steps.stock` takes it)."""

    ours: str
    stock: str
    batch: int
    side: int = steps.SIZE
    steps_per_round: int = 1


def training_rates(contest: Contest, count: int, precision: str | None) -> dict[str, list[float]]:
    """Images per second of `stock`, `tuned` and `ours`, round by round."""
    own, other = (contest.batch, contest.side), (contest.batch, precision, contest.side)
    sides: dict[str, Side] = {
        "stock": partial(steps.stock, contest.stock, *own),
        "tuned": partial(steps.tuned, contest.stock, *other),
        "ours": partial(steps.ours, contest.ours, *other),
    }
    return rates_in_processes(sides, count, contest.batch, contest.steps_per_round)


def rates_in_processes(
    sides: Mapping[str, Side], count: int, images: int, calls_per_round: int = 1
) -> dict[str, list[float]]:
    """Images per second of each side, one of whose calls works on ``images``, round by round.

    Each has a process of its own, because the allocator's setting holds for a whole process.
    """
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for name, side in sides.items():
        pipes[name], other = context.Pipe()
        process = context.Process(target=_serve, args=(side, images, calls_per_round, other), daemon=True)
        process.start()
        other.close()  # so that a side that fails ends the contest
        processes.append(process)
        pipes[name].recv()
    rates: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(count):
        for name, pipe in pipes.items():
            pipe.send("round")
            rates[name].append(pipe.recv())
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send("")
        process.join()
    return rates


def seconds_per_call(sides: Mapping[str, Callable[[], object]], count: int, calls: int) -> dict[str, list[float]]:
    """Seconds per call of each side, round by round, in this process."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(count):
        for side, call in sides.items():
            call()
            began = time.perf_counter()
            for _ in range(calls):
                call()
            seconds[side].append((time.perf_counter() - began) / calls)
    return seconds


def ratios(rates: Mapping[str, list[float]], side: str) -> list[float]:
    """How many times as fast as a side ours is, round by round."""
    return [ours / other for ours, other in zip(rates["ours"], rates[side], strict=True)]


def spread(values: list[float], digits: int = 1) -> str:
    """The median, with the least and the greatest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _serve(side: Side, images: int, calls: int, pipe: Connection) -> None:
    """Time a round of calls for each message on the pipe, until an empty one."""
    call = side()
    for _ in range(_WARM_UP):
        call()
    pipe.send(0.0)
    while pipe.recv():
        began = time.perf_counter()
        for _ in range(calls):
            call()
        pipe.send(calls * images / (time.perf_counter() - began))
