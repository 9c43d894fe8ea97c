"""Questions at the same time are answered together."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from convolve.serve import batching
from convolve.serve.batching import Batcher, BusyError


def test_what_waits_goes_together() -> None:
    began, proceed = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def answer(numbers: Sequence[int]) -> list[int | Exception]:
        batches.append(list(numbers))
        began.set()
        assert proceed.wait(10)
        return [number * 10 for number in numbers]

    batcher: Batcher[int, int] = Batcher(answer)
    first = batcher.submit(0)
    assert began.wait(10)
    others = [batcher.submit(number) for number in range(1, 20)]
    proceed.set()
    assert [each.result(10) for each in (first, *others)] == [number * 10 for number in range(20)]
    assert batches == [[0], list(range(1, 17)), [17, 18, 19]]
    batcher.close()


def test_an_error_reaches_those_who_asked_and_no_others() -> None:
    def answer(numbers: Sequence[int]) -> list[int | Exception]:
        if 0 in numbers:
            raise ValueError("zero")
        return [ValueError("odd") if number % 2 else number for number in numbers]

    batcher: Batcher[int, int] = Batcher(answer)
    with pytest.raises(ValueError, match="zero"):
        batcher.submit(0).result(10)
    with pytest.raises(ValueError, match="odd"):
        batcher.submit(1).result(10)
    assert batcher.submit(2).result(10) == 2
    batcher.close()


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_WAITING", 2)
    began, proceed = threading.Event(), threading.Event()

    def answer(numbers: Sequence[int]) -> list[int | Exception]:
        began.set()
        assert proceed.wait(10)
        return list(numbers)

    batcher: Batcher[int, int] = Batcher(answer)
    running = batcher.submit(1)
    assert began.wait(10)
    waiting = [batcher.submit(2), batcher.submit(3)]
    with pytest.raises(BusyError):
        batcher.submit(4)
    proceed.set()
    assert [each.result(10) for each in (running, *waiting)] == [1, 2, 3]
    batcher.close()
