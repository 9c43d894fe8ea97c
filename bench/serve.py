"""What HTTP adds to an export's inference, and how much of the export's own rate reaches eight clients.

    python -m bench.serve EXPORT [--images FOLDER] [--rounds 3] [--many 1000]

Both sides get the same files: 500x375 JPEGs unless they are given. *Bare* reads, decodes and infers them in this
process as `convolve predict` does; *served* posts them to `convolve serve` in a process of its own on the same machine.
The overhead is the difference of the median times of one image after another; the rate of eight clients is compared
with that of the export over the same folder. At the end so many clients come at once: how many are answered, how many
are told to come again, the slowest hundredth, and the server's memory before and after.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.exported import write_photographs
from bench.rounds import spread
from convolve.setup.exported import open_export, run_export
from convolve.setup.runtime_options import RuntimeOptions
from convolve.verbs.predict import find_images

_CLIENTS = 8
_ONE_BY_ONE = 64


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, int]]:
    """The server of the export's folder: its address, and its process's number."""
    command = [sys.executable, "-m", "convolve", "serve", str(folder.parent), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "http://" in line)
        yield urlsplit(line.split()[0]).netloc, process.pid
        process.terminate()


def ask(address: str, path: str, bodies: Sequence[bytes]) -> list[tuple[int, float]]:
    """The status and the seconds of each body, one after another on one connection."""
    connection = http.client.HTTPConnection(address, timeout=120)
    found: list[tuple[int, float]] = []
    for body in bodies:
        began = time.perf_counter()
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        found.append((answer.status, time.perf_counter() - began))
    connection.close()
    return found


def bare_seconds(folder: Path, names: Sequence[str]) -> float:
    """The median of one image after another."""
    export = open_export(folder, RuntimeOptions())
    predictor = export.task.predictor(export.task_options("predict", {}), export.engine.outputs)
    seconds: list[float] = []
    for name in names:
        images = find_images([name])
        began = time.perf_counter()
        for _ in run_export(export, images, [0], predictor.read):
            pass
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def bare_rate(folder: Path, names: Sequence[str]) -> float:
    """Images per second of all of them."""
    export = open_export(folder, RuntimeOptions(), "many")
    predictor = export.task.predictor(export.task_options("predict", {}), export.engine.outputs)
    images = find_images(names)
    list(run_export(export, images, range(8), predictor.read))
    began = time.perf_counter()
    list(run_export(export, images, range(len(images)), predictor.read))
    return len(images) / (time.perf_counter() - began)


def served_rate(address: str, path: str, bodies: Sequence[bytes]) -> float:
    """Images per second of eight clients, each of which waits for an answer before it asks again."""
    parts = [bodies[start::_CLIENTS] for start in range(_CLIENTS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        answers = [one for part in pool.map(lambda part: ask(address, path, part), parts) for one in part]
    assert {status for status, _ in answers} == {200}
    return len(bodies) / (time.perf_counter() - began)


def memory(process: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.images is None:
            write_photographs(Path(folder))
        found = find_images([str(options.images or folder)])
        names = [found.name(index) for index in range(len(found))]
        bodies = [Path(name).read_bytes() for name in names]
        with served(options.export.resolve()) as (address, process):
            print(f"idle memory {memory(process):.0f} MB")
            path = f"/predict/{options.export.name}"
            ask(address, path, bodies[:8])
            overheads: list[float] = []
            rates: list[float] = []
            for _ in range(options.rounds):
                own = bare_seconds(options.export, names[:_ONE_BY_ONE])
                posted = statistics.median(seconds for _, seconds in ask(address, path, bodies[:_ONE_BY_ONE]))
                overheads.append((posted - own) * 1000)
                rates.append(served_rate(address, path, bodies) / bare_rate(options.export, names))
            print(f"overhead of HTTP {spread(overheads)} ms (median of the rounds)")
            print(f"rate of {_CLIENTS} clients / the export's own {spread(rates)}")
            before = memory(process)
            with ThreadPoolExecutor(options.many) as pool:
                answers = list(pool.map(lambda _: ask(address, path, bodies[:1])[0], range(options.many)))
            statuses = [status for status, _ in answers]
            slowest = sorted(seconds for _, seconds in answers)[int(0.99 * len(answers))]
            print(
                f"{options.many} clients at once: {statuses.count(200)} answered, {statuses.count(503)} told to wait,"
            )
            print(
                f"  {len(statuses) - statuses.count(200) - statuses.count(503)} failed, p99 {slowest:.2f} s,", end=" "
            )
            print(f"memory {before:.0f} MB before and {memory(process):.0f} MB after")


if __name__ == "__main__":
    main()
