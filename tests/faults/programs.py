"""The real command line as a process, and whether its end is one that a person can bear."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 180.0
"""After which a program counts as one that hangs, on a busy machine too."""
INTERRUPTED = 130
_LIMITED = """
import os, resource, sys
numbers = [int(word) for word in sys.argv[1 : sys.argv.index("--")]]
for limit, value in zip(numbers[::2], numbers[1::2], strict=True):
    resource.setrlimit(limit, (value, value))
command = sys.argv[sys.argv.index("--") + 1 :]
os.execvp(command[0], command)
"""


@dataclass(frozen=True)
class Outcome:
    """How a program ended: exit code (negative: by which signal), and its last words on standard error."""

    words: tuple[str, ...]
    code: int
    errors: str

    @property
    def sentence(self) -> str:
        """Its last line."""
        return (self.errors.strip().splitlines() or [""])[-1]

    def fault(self, *codes: int) -> str | None:
        """What is wrong with its end, where it may end with ``codes`` besides success and one sentence."""
        lines = self.errors.strip().splitlines()
        if "Traceback" in self.errors:
            return self._describe("ended with a traceback")
        if self.code not in (0, 2, INTERRUPTED, *codes):
            return self._describe(f"ended with {self.code}")
        if self.code == 2 and (len(lines) != 1 or not re.search(r"\.$|--resume ", lines[0])):
            return self._describe(f"gave {len(lines)} lines instead of a sentence")
        return None

    def _describe(self, what: str) -> str:
        lines = self.errors.strip().splitlines()
        return f"{' '.join(self.words[:2])} {what}: {' | '.join(lines[-2:])[-300:]}"


def begin(
    words: Sequence[str | Path],
    folder: Path,
    *,
    limits: Mapping[int, int] | None = None,
    prefix: Sequence[str] = (),
    out: int | Any = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """Start `convolve WORDS` in a folder that also has its cache, with ``limits`` of the system by their numbers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CONVOLVE_CACHE": str(folder / "cache")}
    environment["PYTHONPATH"] = os.pathsep.join([*environment.get("PYTHONPATH", "").split(os.pathsep), str(Path.cwd())])
    numbers = [str(number) for limit in (limits or {}).items() for number in limit]
    limited = [sys.executable, "-c", _LIMITED, *numbers, "--"] if numbers else []
    command = [*limited, *prefix, sys.executable, "-m", "convolve", *map(str, words)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a program's end; one that hangs is killed and has the code of that."""
    try:
        errors = process.communicate(timeout=SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        errors = f"{process.communicate()[1]}\nIt hangs."
    arguments = [str(word) for word in process.args]  # type: ignore[union-attr]
    return Outcome(tuple(arguments[arguments.index("convolve") + 1 :]), process.returncode, errors or "")


def run(words: Sequence[str | Path], folder: Path, **options: Any) -> Outcome:
    """Begin and finish."""
    return finish(begin(words, folder, **options))


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until a condition holds or the program has ended."""
    until = time.monotonic() + SECONDS
    while process.poll() is None and not condition():
        assert time.monotonic() < until, "what a program should do does not happen"
        time.sleep(0.005)


def send(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal to a program, unless it has ended."""
    if process.poll() is None:
        process.send_signal(number)


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a program when it has run that long; whether it was still running."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return True
    return False
