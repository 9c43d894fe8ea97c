"""Reading changed inputs in a child process that watches what they do, and a parent that outlives it."""

from __future__ import annotations

import faulthandler
import os
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, Final

from convolve.errors import ConvolveError
from convolve.untrusted.hdf5 import CHILD
from tests.fuzz.reader import Reader

MEMORY: Final = 500 * 2**20
"""Bytes that reading one input may take."""
SECONDS: Final = 2.0
"""Time of the processor that reading one input may take."""
_HANGS: Final = 30.0  # seconds after which an input is given up
_HARD_LIMIT: Final = 2**32  # bytes of data beyond those that the child begins with
_PROGRAMS: Final = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "socket.connect", "pty.spawn",
)  # fmt: skip
_MEMORY_DISK: Final = "/dev/shm"  # noqa: S108 - a folder with a random name is made in it
_CLEAR: Final = "/proc/self/clear_refs"
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Fault:
    """What one input did that it must not do, where, and the input."""

    reader: str
    what: str
    content: bytes


class _ViolationError(BaseException):
    """Something was executed, or written outside of the folder; no `except Exception` hides it."""


def run(reader: Reader, inputs: Sequence[bytes]) -> Iterator[Fault]:
    """Read inputs, each in a folder of its own; a child that dies or hangs is replaced by another one."""
    done = 0
    with mmap(-1, 16) as shared:
        while done < len(inputs):
            shared[:16] = struct.pack("qd", done, time.monotonic())
            receive, send = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(receive)
                _read_all(reader, inputs, done, shared, send)
            os.close(send)
            reason = _wait(child, shared)
            with os.fdopen(receive, encoding="utf-8", errors="replace") as pipe:
                for line in pipe.read().splitlines():
                    position, _, what = line.partition(" ")
                    yield Fault(reader.name, what, inputs[int(position)])
            position = struct.unpack("qd", shared[:16])[0]
            if reason is None:
                return
            yield Fault(reader.name, reason, inputs[position])
            done = position + 1


def _wait(child: int, shared: mmap) -> str | None:
    """Nothing when the child has read all inputs, else what became of it."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return None if code == 0 else f"the process ended with {code}"
        if time.monotonic() - struct.unpack("qd", shared[:16])[1] > _HANGS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no end within {_HANGS:.0f} s"
        time.sleep(0.02)


def _read_all(reader: Reader, inputs: Sequence[bytes], first: int, shared: mmap, send: int) -> None:
    """The child: read the inputs from the ``first`` on, and report faults as lines."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY_DISK if Path(_MEMORY_DISK).is_dir() else None))
    code = 1
    try:
        data = _status("VmData")
        resource.setrlimit(resource.RLIMIT_DATA, (data + _HARD_LIMIT, data + _HARD_LIMIT))
        faulthandler.disable()  # which a test's runner has turned on
        os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # a decoder may write there what it thinks of an image
        sys.addaudithook(lambda event, arguments: _refuse(event, arguments, str(folder)))
        for position in range(first, len(inputs)):
            shared[:16] = struct.pack("qd", position, time.monotonic())
            place = folder / str(position)
            place.mkdir()
            what = _read(reader, inputs[position], place)
            shutil.rmtree(place, ignore_errors=True)
            if what:
                os.write(send, f"{position} {what}\n".encode(errors="replace"))
        code = 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)


def _read(reader: Reader, content: bytes, folder: Path) -> str | None:
    """What an input did that it must not do."""
    before = _reset_peak()
    started = time.process_time()
    what = None
    try:
        reader.read(content, folder)
    except ConvolveError as error:
        if len(str(error).splitlines()) != 1:
            what = f"an error of several lines: {str(error)[:200]!r}"
    except _ViolationError as violation:
        what = f"a violation: {violation}"
    except BaseException as error:  # noqa: BLE001 - which is what is looked for
        what = _describe(error)
    seconds = time.process_time() - started
    memory = _status("VmHWM") - before
    if what is None and seconds > SECONDS:
        what = f"{seconds:.1f} s of the processor"
    if what is None and memory > MEMORY:
        what = f"{memory / 2**20:.0f} MiB"
    return what


def _describe(error: BaseException) -> str:
    """The kind of an error, and the last place in convolve that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [frame for frame in frames if "/src/convolve/" in frame.filename or "/fuzz/" in frame.filename][-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"{type(error).__name__} at {where}: {' '.join(str(error)[:150].split())}"


def _refuse(event: str, arguments: tuple[Any, ...], folder: str) -> None:
    """An audit hook: nothing is executed but what reads HDF5, and nothing written outside of the folder."""
    if event in _PROGRAMS and not _reads_hdf5(event, arguments):
        raise _ViolationError(f"{event} {str(arguments)[:100]}")
    if event == "open":
        path, mode, flags = arguments
        writing = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITING)
        allowed = (folder, os.environ.get("CONVOLVE_CACHE", folder), os.devnull, _CLEAR)
        if writing and isinstance(path, str | bytes) and not os.fsdecode(path).startswith(allowed):
            raise _ViolationError(f"open {path!r} to write")


def _reads_hdf5(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether what is started is convolve's own program, which bounds itself."""
    return event == "subprocess.Popen" and arguments[1][:4] == [sys.executable, "-I", "-S", str(CHILD)]


def _status(field: str) -> int:
    """Bytes that the system counts for this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> int:
    """Let the peak of resident memory begin again; its value now."""
    Path(_CLEAR).write_text("5")
    return _status("VmHWM")
