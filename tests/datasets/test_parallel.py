from __future__ import annotations

import threading
import time

import cv2
import pytest

from convolve.datasets import parallel
from convolve.datasets.parallel import MAX_READER_THREADS, in_order, one_thread_each, reader_threads


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("convolve")]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order(workers: int) -> None:
    def late(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(in_order(late, range(20), workers)) == [number * number for number in range(20)]
    assert not own_threads()


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (6, 6), (200, MAX_READER_THREADS)])
def test_reader_threads_follow_the_machine(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.delattr("os.process_cpu_count", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert reader_threads() == threads
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert reader_threads() == threads


def test_without_a_number_there_are_as_many_threads_as_the_machine_suggests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "reader_threads", lambda: 3)
    barrier = threading.Barrier(3, timeout=10)  # broken, and an error, where fewer than three work at once
    assert sorted(in_order(lambda _: barrier.wait(), range(3))) == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("count", [0, 2, 7])
def test_chunks_cover_all_items(count: int, workers: int) -> None:
    assert list(in_order(str, range(count), workers, 3)) == [str(number) for number in range(count)]


def test_a_thread_takes_a_chunk_at_a_time() -> None:
    barrier = threading.Barrier(2, timeout=10)  # the first items of both chunks are computed at once

    def thread(number: int) -> int:
        if number % 3 == 0:
            barrier.wait()
        return threading.get_ident()

    found = list(in_order(thread, range(6), 2, 3))
    assert found == [found[0]] * 3 + [found[3]] * 3


def test_work_runs_ahead_but_not_far() -> None:
    begun: list[int] = []
    results = in_order(begun.append, range(100), 2)
    next(results)
    time.sleep(0.05)
    assert 2 <= len(begun) <= 6
    results.close()  # type: ignore[attr-defined]
    assert not own_threads()
    assert len(begun) <= 6


@pytest.mark.parametrize("workers", [0, 2])
def test_exceptions_come_through_in_their_place(workers: int) -> None:
    results = in_order(lambda number: 1 / (2 - number), range(10), workers)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not own_threads()


def test_the_last_user_gives_opencv_its_threads_back() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = one_thread_each(), one_thread_each()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert cv2.getNumThreads() == 1
        second.__exit__(None, None, None)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
