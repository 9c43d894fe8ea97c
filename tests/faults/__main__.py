"""Play faults at random moments: `python -m tests.faults --rounds 50 [--seed 0] [--kind storm ...] [--minutes 15]`.

Every round is a line that says what was tried, and what was found, if anything was.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults import kinds
from tests.faults.place import Place, make_place

_MB = 2**20
_LONGEST = 9.0  # seconds; most trainings of the place take less


def _kill_training(place: Place, random: Random) -> tuple[str, list[str]]:
    seconds = [random.uniform(0, _LONGEST) for _ in range(random.randint(1, 3))]
    return f"after {', '.join(f'{wait:.2f}' for wait in seconds)} s", kinds.kill_training(place, seconds)


def _kill_output(place: Place, random: Random) -> tuple[str, list[str]]:
    seconds = random.uniform(0, _LONGEST)
    return f"after {seconds:.2f} s", kinds.kill_output(place, seconds)


def _file_size(place: Place, random: Random) -> tuple[str, list[str]]:
    size = int(10 ** random.uniform(1, 6.5))
    return f"files of {size:,} bytes", kinds.limit(place, resource.RLIMIT_FSIZE, size)


def _memory(place: Place, random: Random) -> tuple[str, list[str]]:
    number, name = random.choice(((resource.RLIMIT_AS, "addresses"), (resource.RLIMIT_DATA, "data")))
    highest = 4600 if number == resource.RLIMIT_AS else 1500
    size = random.choice((random.uniform(50, highest), random.uniform(0.85 * highest, highest)))
    return f"{size:.0f} MiB of {name}", kinds.limit(place, number, int(size * _MB))


def _open_files(place: Place, random: Random) -> tuple[str, list[str]]:
    count = random.randint(3, 60)
    return f"{count} open files", kinds.limit(place, resource.RLIMIT_NOFILE, count)


def _full_device(place: Place, _: Random) -> tuple[str, list[str]]:
    return "everything to /dev/full", kinds.full_device(place)


def _small_disk(place: Place, random: Random) -> tuple[str, list[str]]:
    size = int(10 ** random.uniform(4, 6.7))
    return f"{size:,} bytes", kinds.fill_disk(place, size)


def _read_only(place: Place, random: Random) -> tuple[str, list[str]]:
    name = random.choice(("run", "elsewhere"))
    return name, kinds.read_only(place, name)


def _storm(place: Place, random: Random) -> tuple[str, list[str]]:
    numbers, seconds = kinds.draw_signals(random)
    what = " ".join(f"{number.name} +{wait:.3f}" for number, wait in zip(numbers, seconds, strict=True))
    function = random.choice((kinds.storm, kinds.storm, kinds.storm_output))
    return f"{function.__name__}: {what}", function(place, numbers, seconds)


def _two_trainings(place: Place, random: Random) -> tuple[str, list[str]]:
    apart, same = random.choice((0.0, random.uniform(0, 4))), random.random() < 0.5
    where = "in one folder" if same else "in two folders"
    return f"{where}, {apart:.2f} s apart", kinds.two_trainings(place, apart, same)


def _train_and_evaluate(place: Place, random: Random) -> tuple[str, list[str]]:
    wait = random.uniform(0, _LONGEST)
    return f"after {wait:.2f} s", kinds.train_and_evaluate(place, wait)


def _two_outputs(place: Place, random: Random) -> tuple[str, list[str]]:
    apart = random.uniform(0, 0.5)
    return f"{apart:.2f} s apart", kinds.two_outputs(place, apart)


ROUNDS: dict[str, Callable[[Place, Random], tuple[str, list[str]]]] = {
    "kill-training": _kill_training,
    "kill-output": _kill_output,
    "file-size": _file_size,
    "memory": _memory,
    "open-files": _open_files,
    "full-device": _full_device,
    "small-disk": _small_disk,
    "read-only": _read_only,
    "storm": _storm,
    "two-trainings": _two_trainings,
    "train-and-evaluate": _train_and_evaluate,
    "two-outputs": _two_outputs,
}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """The number of rounds that found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e6, help="no round begins later than this")
    parser.add_argument("--kind", nargs="*", choices=list(ROUNDS), default=list(ROUNDS))
    options = parser.parse_args()
    started, bad = time.monotonic(), 0
    counts = dict.fromkeys(options.kind, 0)
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        place = make_place(Path(name, "place"))
        for number in range(options.rounds):
            if time.monotonic() - started > 60 * options.minutes:
                break
            kind = options.kind[number % len(options.kind)]
            with tempfile.TemporaryDirectory(prefix="round-", dir=name) as folder:
                copy = place.copy(Path(folder, "place"))
                what, found = ROUNDS[kind](copy, Random(f"{options.seed} {number} {kind}"))
            counts[kind] += 1
            bad += bool(found)
            say(f"{number} {kind}, {what}: {'; '.join(found) or 'nothing wrong'}")
    tried = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    minutes = (time.monotonic() - started) / 60
    say(f"{sum(counts.values())} rounds ({tried}) in {minutes:.0f} min, {bad} found something")
    return bad


if __name__ == "__main__":
    sys.exit(min(main(), 1))
