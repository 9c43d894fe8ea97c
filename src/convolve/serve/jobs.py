"""Work that a client asks for: each job is a folder and a process of its own, which outlives the server.

A job's folder, below `.jobs` in the folder of the runs:

- `job.json`: the command, its options, and when it was asked for;
- `events.jsonl`: what the command reports, a JSON object a line, the last of which says how it ended;
- `output.txt`: what its process prints, which is only of use where convolve itself fails;
- `stop`: it was told to stop.

The process holds a lock on its folder as long as it lives. So a server that is started again sees which jobs run, which
have ended, and which were killed; it keeps nothing that is not on disk. One job runs at a time, in the order of asking.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal, final

from convolve.files import append_text, write_text
from convolve.serve.problems import ProblemError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.files import DOCUMENT_BYTES, read_file

FOLDER: Final = ".jobs"
DOCUMENT, EVENTS, STOP, PROCESS, OUTPUT = "job.json", "events.jsonl", "stop", "process", "output.txt"
MOST_QUEUED: Final = 32
_ID: Final = re.compile(r"[0-9]{13}-[0-9a-f]{8}")
_SECONDS_BETWEEN_LOOKS: Final = 0.3
State = Literal["queued", "running", "stopped", "done", "failed"]


@final
@dataclass(frozen=True)
class Job:
    """A job by its folder."""

    folder: Path

    @property
    def id(self) -> str:
        """Its name: the millisecond in which it was asked for, and eight digits by chance."""
        return self.folder.name

    def document(self) -> dict[str, Any]:
        """The command, its options and the time; of a damaged file what can still be said, which is nothing."""
        try:
            found = parse_json(read_file(self.folder / DOCUMENT, DOCUMENT_BYTES))
        except (OSError, ValueError):
            found = None
        known = isinstance(found, dict) and isinstance(found.get("command"), str)
        return found if known and isinstance(found.get("options"), dict) else {"command": "", "options": {}}

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Those with a higher number than ``after``, which is counted from 1, up to a line that is not whole."""
        found: list[dict[str, Any]] = []
        with suppress(OSError, ValueError):
            for line in (self.folder / EVENTS).read_bytes().split(b"\n")[after:-1]:
                event = parse_json(line)
                if not isinstance(event, dict) or not isinstance(event.get("event"), str):
                    break
                found.append(event)
        return found

    def state(self) -> State:
        """What has become of it."""
        if self.is_locked():
            return "running"
        last = next(iter(self.events()[-1:]), {})
        if last.get("event") in ("done", "failed", "stopped"):
            state: State = last["event"]
            return state
        return "stopped" if (self.folder / PROCESS).exists() or (self.folder / STOP).exists() else "queued"

    def as_json(self) -> dict[str, Any]:
        """The document, the state, and the last event."""
        last = next(iter(self.events()[-1:]), None)
        return {"id": self.id, **self.document(), "state": self.state(), "last": last}

    def is_locked(self) -> bool:
        """Whether its process lives."""
        import fcntl

        try:
            handle = os.open(self.folder, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False


@final
class Jobs:
    """All jobs of a folder of runs, and the thread that starts them one after another."""

    def __init__(self, runs: Path) -> None:
        self._root = runs / FOLDER
        self._changed = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def all(self) -> list[Job]:
        """In the order of asking."""
        if not self._root.is_dir():
            return []
        return [Job(path) for path in sorted(self._root.iterdir()) if _ID.fullmatch(path.name)]

    def find(self, name: str) -> Job:
        """Raises `ProblemError`."""
        job = Job(self._root / name)
        if not _ID.fullmatch(name) or not (job.folder / DOCUMENT).is_file():
            raise ProblemError(HTTPStatus.NOT_FOUND, "There is no job of that name; GET /jobs lists them.")
        return job

    def add(self, verb: str, options: Mapping[str, object]) -> Job:
        """A new job at the end of the queue. Raises `ProblemError` where it is full."""
        with self._lock:
            if sum(job.state() == "queued" for job in self.all()) >= MOST_QUEUED:
                sentence = f"{MOST_QUEUED} jobs wait already; try again when some have ended."
                raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, sentence)
            job = Job(self._root / f"{time.time_ns() // 10**6:013}-{secrets.token_hex(4)}")
            job.folder.mkdir(parents=True)
            document = {"command": verb, "options": dict(options), "asked": time.time()}
            write_text(job.folder / DOCUMENT, json.dumps(document))
        self._changed.set()
        return job

    def stop(self, job: Job) -> None:
        """Ask a job's process to end, as Ctrl-C does: a training keeps all that it has. One that waits never begins."""
        (job.folder / STOP).touch()
        if job.is_locked():
            with suppress(OSError, ValueError):  # it has just ended, or has not yet written its number
                os.kill(int((job.folder / PROCESS).read_text()), signal.SIGINT)

    def close(self) -> None:
        """End the thread; jobs that run go on."""
        self._closed = True
        self._changed.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            waiting = [job for job in self.all() if job.state() == "queued"]
            busy = any(job.state() == "running" for job in self.all()) if waiting else False
            if waiting and not busy:
                _start(waiting[0])
            self._changed.wait(_SECONDS_BETWEEN_LOOKS if waiting else None)
            self._changed.clear()


def _start(job: Job) -> None:
    """Returns once the job's process holds its lock; one that cannot even begin has failed."""
    command = [sys.executable, "-m", "convolve.serve.job_process", str(job.folder)]
    with (job.folder / OUTPUT).open("ab") as output:
        ended = subprocess.run(
            command,
            cwd=job.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            check=False,
        )
    if ended.returncode:
        text = f"The job could not begin; its {OUTPUT} says why."
        append_text(job.folder / EVENTS, json.dumps({"event": "failed", "time": time.time(), "text": text}) + "\n")


def follow(job: Job, after: int) -> Iterator[tuple[int, dict[str, Any]] | None]:
    """The events after a number, each with its own, as they come; None where there is none for a moment. Ends with the
    job.
    """
    while True:
        ended = job.state() in ("stopped", "done", "failed")
        for event in job.events(after):
            after += 1
            yield after, event
        if ended:
            return
        yield None
