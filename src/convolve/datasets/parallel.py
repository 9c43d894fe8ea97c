"""Threads for work that releases the interpreter lock: decoding, resampling, hashing, reading files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import TypeVar

import cv2

MAX_READER_THREADS = 16
"""More threads than that wait for the disk or the interpreter lock, and each holds images in memory."""
CHUNK = 32
"""Images that a thread takes at a time, as a small one takes less time than handing it over."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def reader_threads() -> int:
    """How many threads read and decode: one for each core that this process may use, `MAX_READER_THREADS` at most."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on; also heeds PYTHON_CPU_COUNT
        cores = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count()
    return min(cores or 1, MAX_READER_THREADS)


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None, chunk: int = 1
) -> Iterator[Result]:
    """Yield `function(item)` for each item in turn, computed by ``workers`` threads up to ``2 * workers`` chunks ahead.

    There are `reader_threads` of them unless a number is given; with 0 the caller's own thread computes. A thread takes
    ``chunk`` items at a time. What the function raises comes out where the results of its chunk would have. Closing the
    iterator early drops what has not begun and waits for the rest, so no thread outlives it.
    """
    workers = reader_threads() if workers is None else workers
    if workers < 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="convolve")
    waiting: deque[Future[list[Result]]] = deque()
    remaining = iter(items)
    try:
        while part := list(islice(remaining, chunk)):
            waiting.append(pool.submit(list, map(function, part)))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_lock = Lock()
_users: list[int] = []
"""OpenCV's own number of threads, once for each block of `one_thread_each` that is being executed."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep OpenCV from dividing single images among threads of its own while ours work on whole ones.

    OpenCV's number of threads belongs to the whole process; the last of several users to leave restores it.
    """
    with _lock:
        _users.append(_users[0] if _users else cv2.getNumThreads())
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _lock:
            before = _users.pop()
            if not _users:
                cv2.setNumThreads(before)
