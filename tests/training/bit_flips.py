"""Runs in which a single bit is flipped: each must answer as before, or say in one sentence that it does not.

`python -m tests.training.bit_flips --flips 20000` flips more of them than the tests do, and prints what came of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import RunError
from convolve.progress import silent
from convolve.setup.restore import restore_task
from convolve.setup.run_report import read_training
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training import checkpoints
from convolve.training.checkpoints import RunFiles
from convolve.training.run import CHECKPOINTS, TIMES, open_run, read_lines, read_splits
from convolve.values import Dataset

IMAGES = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
SAME, REFUSED, PREVIOUS, WRONG, CRASHED = "as before", "refused", "goes on from previous", "WRONG", "CRASHED"
GOOD = frozenset((SAME, REFUSED, PREVIOUS))


@dataclass(frozen=True)
class Subject:
    """A run, what it answers, and what it may answer instead."""

    folder: Path
    answer: Callable[[], object]
    before: object
    instead: object = None

    def flip(self, path: Path, bit: int) -> str:
        """What comes of one bit that is flipped in a file; the file is as before afterwards."""
        content = path.read_bytes()
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = self.answer()
        except RunError:
            return REFUSED
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - as a library that is not written in Python raises
            traceback.print_exc()
            return CRASHED
        finally:
            path.write_bytes(content)
        if found == self.before:
            return SAME
        return PREVIOUS if found == self.instead else WRONG

    def draw(self, flips: int, draw: random.Random) -> Iterator[tuple[str, int, str]]:
        """File, bit and outcome of so many flips, as many in each file."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.stat().st_size)
        for number in range(flips):
            path = files[number % len(files)]
            bit = draw.randrange(8 * path.stat().st_size)
            yield str(path.relative_to(self.folder)), bit, self.flip(path, bit)


def _finished_answer(folder: Path, dataset: Dataset) -> object:
    run = open_run(folder)
    task, _ = restore_task(run, RuntimeOptions(threads=1))
    with torch.inference_mode():
        scores = task.predict(IMAGES).numpy().tobytes()
    splits = read_splits(run, dataset)
    return repr((run.recipe, run.manifest, splits, read_training(run, silent), read_lines(run, TIMES))), scores


def _stopped_answer(folder: Path, dataset: Dataset, damage: str | None = None) -> object:
    run = open_run(folder)
    found = checkpoints.load(folder / CHECKPOINTS)
    assert found is not None
    best = checkpoints.load_best(folder / CHECKPOINTS)
    said = damage if damage is not None else ("said" if found.damage else "")
    tensors = [(name, each.numpy().tobytes()) for name, each in [*found.tensors.items(), *best.tensors.items()]]
    return repr((run.recipe, run.manifest, read_splits(run, dataset), found.state, said)), sorted(tensors)


def finished_run(folder: Path) -> Subject:
    """One that has ended; the folder is made."""
    options: dict[str, Any] = {"network": "lenet5_keras", "size": 16, "epochs": 2, "threads": 1, "progress": False}
    convolve.train("digits", **options, out=folder)
    answer = partial(_finished_answer, folder, open_dataset("digits"))
    return Subject(folder, answer, answer())


def stopped_run(folder: Path) -> Subject:
    """One that was stopped after two epochs, with all of its checkpoints."""
    close = RunFiles.close_epoch

    def close_and_stop(self: RunFiles, state: Any, learner: Any, better: bool) -> None:
        close(self, state, learner, better)
        self.save(state, learner)
        if state.epoch == 2:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"network": "lenet5_keras", "size": 16, "epochs": 3, "threads": 1, "progress": False}
    with patch.object(RunFiles, "close_epoch", close_and_stop), suppress(KeyboardInterrupt):
        convolve.train("digits", **options, out=folder)
    dataset = open_dataset("digits")
    last = folder / CHECKPOINTS / "last.safetensors"
    away = last.rename(folder / "away")
    previous = _stopped_answer(folder, dataset, "said")
    away.rename(last)
    answer = partial(_stopped_answer, folder, dataset)
    return Subject(folder, answer, answer(), previous)


def main() -> None:
    """Flip bits, half of them in each kind of run, and print how often each outcome was met in each file; after
    Ctrl-C, of those so far.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, counts = time.monotonic(), Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as home, suppress(KeyboardInterrupt):
        subjects = [finished_run(Path(home, "finished")), stopped_run(Path(home, "stopped"))]
        flips = [subject.draw(options.flips // 2, random.Random(options.seed)) for subject in subjects]
        for pair in zip(*flips, strict=True):
            for subject, (file, bit, outcome) in zip(subjects, pair, strict=True):
                counts[f"{subject.folder.name}/{file}", outcome] += 1
                if outcome not in GOOD:
                    sys.stdout.write(f"{subject.folder.name}/{file}, bit {bit}: {outcome}\n")
    for (file, outcome), count in sorted(counts.items()):
        sys.stdout.write(f"{file:45} {outcome:22} {count:6,}\n")
    sys.stdout.write(f"{counts.total():,} flips in {time.monotonic() - started:.0f} s\n")


if __name__ == "__main__":
    main()
