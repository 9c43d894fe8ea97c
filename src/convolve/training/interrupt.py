"""Ctrl-C and SIGTERM while a training runs: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self, final


@final
class Interruption:
    """Inside the block, the first SIGINT or SIGTERM only sets ``requested``; a second one interrupts at once.

    The former handlers are restored at the end. Outside the main thread, where signals cannot be caught, it does
    nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former = {name: signal.signal(name, self._request) for name in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, handler in self._former.items():
            signal.signal(name, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
