"""Faults of the system end in one sentence or change nothing.

`python -m tests.faults` plays more of them, at random moments.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import convolve
from convolve.errors import RunError
from tests.faults import kinds
from tests.faults.place import CSV, Place, contents, make_place, predicting, training
from tests.faults.programs import INTERRUPTED, Outcome, begin, finish, run, send, wait_for

_STARTING = """
import runpy, sys, types

class Interrupting(types.ModuleType):
    def __getattr__(self, name):
        raise KeyboardInterrupt

sys.modules["convolve.cli"] = Interrupting("convolve.cli")
runpy.run_module("convolve", run_name="__main__")
"""
"""Ctrl-C comes while the command line is imported."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("faults") / "place")


@pytest.fixture
def place(original: Place, tmp_path: Path) -> Place:
    return original.copy(tmp_path / "place")


def test_every_kind_of_bad_end_is_seen() -> None:
    good = (0, ""), (2, "It is full; free some.\n"), (130, "Stopped; continue with: convolve train --resume run\n")
    assert [Outcome(("train",), code, errors).fault() for code, errors in good] == [None] * 3
    bad = (1, ""), (2, ""), (2, "One.\nTwo.\n"), (2, "Traceback\nIt is full.\n"), (-11, ""), (2, "RuntimeError: no")
    assert all(Outcome(("train",), code, errors).fault() for code, errors in bad)
    assert Outcome(("train",), -9, "").fault(-9) is None


def test_a_file_that_grows_too_large_stops_a_training_that_continues(place: Place) -> None:
    outcome = run(training("out"), place.folder, limits={resource.RLIMIT_FSIZE: 75_000})
    assert outcome.fault() is None
    assert outcome.code == 2
    assert outcome.sentence.endswith("continue with: convolve train --resume out")
    assert place.continued("out") == []


def test_old_predictions_survive_a_full_disk(place: Place) -> None:
    (place.folder / CSV).write_text(kinds.OLD)
    outcome = run(predicting(), place.folder, limits={resource.RLIMIT_FSIZE: 100})
    assert (outcome.code, outcome.fault()) == (2, None)
    assert (place.folder / CSV).read_text() == kinds.OLD


def test_too_low_a_limit_on_memory_is_one_sentence(place: Place) -> None:
    for number, what in ((resource.RLIMIT_AS, "virtual memory"), (resource.RLIMIT_DATA, "data")):
        outcome = run(training("out"), place.folder, limits={number: 800_000_000})
        assert (outcome.code, outcome.fault()) == (2, None)
        assert f"may take 800 MB of {what}, but PyTorch needs" in outcome.sentence
    assert not (place.folder / "out").exists()
    assert run(("scratch", "-q"), place.folder, limits={resource.RLIMIT_AS: 800_000_000}).code == 0  # needs no PyTorch


def test_a_signal_storm_saves_the_training(place: Place) -> None:
    process = begin(training("out"), place.folder)
    wait_for(process, (place.folder / "out" / "timing.jsonl").exists)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGINT):
        send(process, number)
    outcome = finish(process)
    assert outcome.fault() is None
    assert outcome.code in (0, INTERRUPTED)
    assert place.continued("out") == []


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks on Windows")
def test_of_two_trainings_in_one_folder_one_is_refused(place: Place) -> None:
    assert kinds.two_trainings(place, 0.0, same=True) == []


def test_a_folder_that_cannot_be_written_stays_as_it_is(place: Place) -> None:
    assert kinds.read_only(place, "run") == []
    assert contents(place.folder / "run") == place.undisturbed


def test_a_training_that_was_killed_before_it_began_says_so(place: Place) -> None:
    (place.folder / "out" / "checkpoints").mkdir(parents=True)
    out = place.folder / "out"
    with pytest.raises(RunError, match="out holds a run that has not begun; choose another --out, or delete it"):
        convolve.train(resume=out, progress=False)
    with pytest.raises(RunError, match="out holds a run that has not begun;"):
        convolve.train(place.folder / "data", network="lenet5_keras", out=out, progress=False)
    with pytest.raises(RunError, match="out holds a run that has not begun;"):
        convolve.evaluate(out, progress=False)


def test_ctrl_c_while_the_program_starts_gives_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", _STARTING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (INTERRUPTED, "")
