"""Requests that come at the same time go through a network together.

One thread runs the network. While it is busy, images gather; it takes all that are there, up to `MOST_TOGETHER`. So a
lone image never waits for others, and many make full batches.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, Generic, TypeVar, final

Item = TypeVar("Item")
Answer = TypeVar("Answer")
MOST_TOGETHER: Final = 16
MOST_WAITING: Final = 128


class BusyError(Exception):
    """More images wait than may."""


@final
class Batcher(Generic[Item, Answer]):
    """Runs ``answer``, which gives an answer or an exception for each of what is asked together, in a thread."""

    def __init__(self, answer: Callable[[Sequence[Item]], Sequence[Answer | Exception]]) -> None:
        self._answer = answer
        self._waiting: queue.Queue[tuple[Item, Future[Answer]] | None] = queue.Queue(MOST_WAITING)
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, item: Item) -> Future[Answer]:
        """The answer, in time. Raises `BusyError`."""
        future: Future[Answer] = Future()
        try:
            self._waiting.put_nowait((item, future))
        except queue.Full:
            raise BusyError from None
        return future

    def close(self) -> None:
        """End the thread, once all that waits is answered."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while len(batch) < MOST_TOGETHER and not self._waiting.empty():
                following = self._waiting.get_nowait()
                if following is None:
                    self._waiting.put(None)
                    break
                batch.append(following)
            running = [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]
            if running:
                self._give([item for item, _ in running], [future for _, future in running])

    def _give(self, items: Sequence[Item], futures: Sequence[Future[Answer]]) -> None:
        try:
            answers = self._answer(items)
        except Exception as error:  # noqa: BLE001 - each of those who asked is told
            answers = [error] * len(items)
        for future, answer in zip(futures, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
