"""The process of one job: runs its command, and writes what it reports.

It takes the lock and leaves the work to a child, which keeps the lock. So whoever starts it knows that the job runs as
soon as it has ended, and need not wait for the job.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from convolve.commands import COMMANDS
from convolve.errors import ConvolveError, Interrupted
from convolve.progress import Message, Progress
from convolve.serve.jobs import EVENTS, OUTPUT, PROCESS, STOP, Job

_SECONDS_BETWEEN_EVENTS = 0.5


class _Log:
    """Appends events, progress of one kind of work twice a second at most."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._last = ("", 0.0)

    def write(self, event: str, **values: Any) -> None:
        self._file.write(json.dumps({"event": event, "time": time.time(), **values}) + "\n")
        self._file.flush()

    def __call__(self, event: Progress | Message) -> None:
        """The listener of the command."""
        if isinstance(event, Message):
            self.write("message", text=event.text)
            return
        work, written = self._last
        now = time.monotonic()
        if event.work != work or now - written >= _SECONDS_BETWEEN_EVENTS or event.done == event.total:
            self._last = event.work, now
            self.write("progress", work=event.work, done=event.done, total=event.total, detail=event.detail)


def main(folder: Path) -> None:
    """Run the job of a folder, unless another process does, or it was told to stop."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if os.fork():
        return
    (folder / PROCESS).write_text(str(os.getpid()))
    log = _Log(folder / EVENTS)
    document = Job(folder).document()
    command = COMMANDS[document["command"]]
    try:
        if (folder / STOP).exists():
            raise KeyboardInterrupt
        log.write("started", command=document["command"])
        result = command.run(command.build_options(document["options"]), log)
        log.write("done", result=result.as_json())
    except (Interrupted, KeyboardInterrupt) as error:
        log.write("stopped", text=str(error))
    except ConvolveError as error:
        log.write("failed", text=str(error))
    except BaseException as error:
        log.write("failed", text=f"convolve failed at this ({type(error).__name__}); the job's {OUTPUT} says why.")
        raise


if __name__ == "__main__":
    main(Path(sys.argv[1]))
