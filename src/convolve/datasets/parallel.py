"""Threads for work that releases the interpreter lock: decoding, resampling, hashing, reading files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `function(item)` for each item in turn, computed by ``workers`` threads up to ``2 * workers`` items ahead.

    Without workers the caller's own thread computes. What the function raises comes out where its result would have.
    Closing the iterator early drops what was not begun and waits for the rest, so no thread outlives it.
    """
    if workers < 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="convolve")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_lock = Lock()
_borrowed: list[int] = []


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep OpenCV from dividing single images among threads of its own while ours work on whole ones.

    OpenCV's number of threads belongs to the whole process; the last of several users to leave restores it.
    """
    with _lock:
        _borrowed.append(_borrowed[0] if _borrowed else cv2.getNumThreads())
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _lock:
            before = _borrowed.pop()
            if not _borrowed:
                cv2.setNumThreads(before)
