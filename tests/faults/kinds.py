"""The kinds of faults: each plays one in a place, and says what is wrong afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.faults.place import (
    CSV,
    QUIET,
    REPORT,
    Place,
    ended,
    evaluating,
    predicting,
    resuming,
    training,
)
from tests.faults.programs import Outcome, begin, finish, kill_after, run, send

OLD = "what was there before"
KILLED = -signal.SIGKILL
_BY_SIGNAL = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
_READ_ONLY = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def kill_training(place: Place, seconds: Sequence[float]) -> list[str]:
    """Killed after each of the times, and continued in between."""
    found = []
    for wait in seconds:
        if ended(place.folder / "killed"):
            break
        begun = (place.folder / "killed" / "manifest.json").exists()
        if not begun:
            shutil.rmtree(place.folder / "killed", ignore_errors=True)
        process = begin(resuming("killed") if begun else training("killed"), place.folder)
        kill_after(process, wait)
        found.append(finish(process).fault(KILLED))
    return [*filter(None, found), *place.continued("killed")]


def kill_output(place: Place, seconds: float) -> list[str]:
    """Predictions and a report over old files, both killed: each file is the old one or a whole new one."""
    folder, found = place.folder, []
    for words, name in ((predicting(), CSV), (evaluating(), REPORT)):
        (folder / name).write_text(OLD)
        process = begin(words, folder)
        kill_after(process, seconds)
        found.append(finish(process).fault(KILLED))
        found += check_output(place, name)
    return [*filter(None, found), *place.continued("run")]


def check_output(place: Place, name: str) -> list[str]:
    """What is wrong with a file that a program should have written, or left."""
    text = (place.folder / name).read_text()
    whole = text == place.predictions if name == CSV else text.rstrip().endswith("</html>")
    return [] if whole or text == OLD else [f"{name} is neither old nor whole: {text[-80:]!r}"]


def limit(place: Place, number: int, value: int) -> list[str]:
    """A training, predictions and an evaluation under a limit of the system: one sentence, or the same result."""
    folder, limits = place.folder, {number: value}
    (folder / CSV).write_text(OLD)
    (folder / REPORT).write_text(OLD)
    outcomes = [run(training("limited"), folder, limits=limits)]
    if (folder / "limited" / "manifest.json").exists() and not ended(folder / "limited"):
        outcomes.append(run(resuming("limited"), folder, limits=limits))
    outcomes += [run(words, folder, limits=limits) for words in (predicting(), evaluating())]
    found = [outcome.fault() for outcome in outcomes]
    found += [_lost(outcome, place) for outcome in outcomes]
    outputs = [*check_output(place, CSV), *check_output(place, REPORT)]
    return [*filter(None, found), *outputs, *place.continued("limited"), *place.continued("run")]


def _lost(outcome: Outcome, place: Place) -> str | None:
    """A program that says that it succeeded, and has not."""
    name = {"predict": CSV, "evaluate": REPORT}.get(outcome.words[0])
    if name and outcome.code == 0 and (place.folder / name).read_text() == OLD:
        return f"{outcome.words[0]} wrote nothing and succeeded"
    return None


def full_device(place: Place) -> list[str]:
    """Everything is written to a device that is always full."""
    full, folder = Path("/dev/full"), place.folder
    outcomes = [run(words, folder) for words in (predicting(full), evaluating(full))]
    with full.open("w") as stream:
        words = ("predict", "run", "data", *QUIET, "--json")
        outcomes.append(run(words, folder, out=stream))
    found = [outcome.fault() for outcome in outcomes]
    found += [f"{outcome.words[0]} succeeded" for outcome in outcomes if outcome.code != 2]
    return [*filter(None, found), *place.continued("run")]


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path | None]:
    """A disk of that many bytes in a folder, or None where this user may not mount one."""
    folder.mkdir()
    options = f"size={size}"
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    mounted = shutil.which("mount") and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(place: Place, size: int) -> list[str]:
    """A training on a disk that is too small for it, continued elsewhere; nothing where none can be mounted."""
    with small_disk(place.folder / "disk", size) as disk:
        if disk is None:
            return []
        outcome = run(training(disk / "full"), place.folder)
        found = [outcome.fault()]
        if (disk / "full").exists():
            shutil.copytree(disk / "full", place.folder / "full")
    return [*filter(None, found), *place.continued("full")]


def read_only(place: Place, name: str) -> list[str]:
    """A folder that cannot be written: every program leaves it as it is; nothing where this user may write anywhere."""
    prefix = _READ_ONLY if os.geteuid() == 0 else ()
    if prefix and not shutil.which(prefix[0]):
        return []
    folder = place.folder / name
    folder.mkdir(exist_ok=True)
    before = sorted(folder.rglob("*"))
    folder.chmod(0o555)
    words = (evaluating(f"{name}/{REPORT}"), training(f"{name}/locked"))
    try:
        outcomes = [run(each, place.folder, prefix=prefix) for each in words]
    finally:
        folder.chmod(0o755)
    found = [outcome.fault() for outcome in outcomes]
    found += [f"{outcome.words[0]} succeeded" for outcome in outcomes if outcome.code != 2]
    if sorted(folder.rglob("*")) != before:
        found.append(f"{name} has changed")
    return [*filter(None, found), *place.continued("run")]


def storm(place: Place, numbers: Sequence[signal.Signals], seconds: Sequence[float]) -> list[str]:
    """Signals, each after some more seconds."""
    process = begin(training("struck"), place.folder)
    for number, wait in zip(numbers, seconds, strict=True):
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        send(process, number)
    fault = finish(process).fault(*_BY_SIGNAL)
    return [*([fault] if fault else []), *place.continued("struck")]


def storm_output(place: Place, numbers: Sequence[signal.Signals], seconds: Sequence[float]) -> list[str]:
    """Signals while predictions are written over old ones."""
    (place.folder / CSV).write_text(OLD)
    process = begin(predicting(), place.folder)
    for number, wait in zip(numbers, seconds, strict=True):
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        send(process, number)
    fault = finish(process).fault(*_BY_SIGNAL)
    return [*([fault] if fault else []), *check_output(place, CSV)]


def two_trainings(place: Place, apart: float, same: bool) -> list[str]:
    """Two trainings at once with one cache, in the ``same`` folder or one each; the second begins somewhat later."""
    names = ("one", "one" if same else "two")
    first = begin(training(names[0]), place.folder)
    time.sleep(apart)
    outcomes = [finish(process) for process in (begin(training(names[1]), place.folder), first)]
    found = [outcome.fault() for outcome in outcomes]
    if sum(outcome.code == 0 for outcome in outcomes) != len(set(names)):
        found.append(f"{[outcome.code for outcome in outcomes]} of two trainings, {outcomes[0].sentence}")
    differences = [difference for name in set(names) for difference in place.continued(name)]
    return [*filter(None, found), *differences]


def train_and_evaluate(place: Place, wait: float) -> list[str]:
    """A run is evaluated and continued while it is trained."""
    process = begin(training("both"), place.folder)
    with suppress(subprocess.TimeoutExpired):
        process.wait(wait)
    others = [begin(words, place.folder) for words in (evaluating("both.html", "both"), resuming("both"))]
    outcomes = [finish(each) for each in (*others, process)]
    found = [outcome.fault() for outcome in outcomes]
    if outcomes[-1].code:
        found.append(f"the training did not end: {outcomes[-1].sentence}")
    return [*filter(None, found), *place.continued("both")]


def two_outputs(place: Place, apart: float) -> list[str]:
    """Two programs write the same predictions, and two the same report."""
    found: list[str | None] = []
    for words, name in ((predicting(), CSV), (evaluating(), REPORT)):
        (place.folder / name).write_text(OLD)
        first = begin(words, place.folder)
        time.sleep(apart)
        outcomes = [finish(process) for process in (first, begin(words, place.folder))]
        found += [outcome.fault() or (outcome.sentence if outcome.code else None) for outcome in outcomes]
        found += check_output(place, name)
        if (place.folder / name).read_text() == OLD:
            found.append(f"{name} was not written")
    return [*filter(None, found)]


def draw_signals(random: Random) -> tuple[list[signal.Signals], list[float]]:
    """Some signals and the seconds before each."""
    count = random.randint(1, 12)
    choices = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    numbers = random.choices(random.sample(choices, random.randint(1, 3)), k=count)
    gap = 10 ** random.uniform(-3, 0)
    return numbers, [random.uniform(0, 8), *(random.uniform(0, gap) for _ in numbers[1:])]
