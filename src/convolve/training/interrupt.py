"""Ctrl-C, SIGTERM, or a terminal that is closed while a training runs: finish the step, save, leave."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self, final


def _caught() -> list[signal.Signals]:
    """What asks a program to stop, on this system and in this session."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


@final
class Interruption:
    """Inside the block, the first SIGINT, SIGTERM or SIGHUP only sets ``requested``; a second one interrupts at once.

    The former handlers are restored at the end. A SIGHUP that is ignored, as under `nohup`, stays so. Outside the main
    thread, where signals cannot be caught, it does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._request) for number in _caught()}
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
