"""A folder with images and a run, and what undisturbed programs make of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.programs import Outcome, run
from tests.verbs.synthetic import folders

_OPTIONS = ("--network", "lenet5_keras", "--size", "16", "--batch", "8", "--epochs", "4", "--seed", "1")
QUIET = ("--threads", "1", "-q")
CSV, REPORT = "predictions.csv", "evaluation.html"
_SAME = ("weights.safetensors", "metrics.jsonl", "splits.json")


def training(out: str | Path, data: str | Path = "data") -> tuple[str, ...]:
    """The words of the training that all compare themselves with."""
    return ("train", str(data), *_OPTIONS, *QUIET, "--out", str(out))


def resuming(out: str | Path) -> tuple[str, ...]:
    """The words to continue it."""
    return ("train", "--resume", str(out), "-q")


@dataclass(frozen=True)
class Place:
    """Where a round plays: `data`, and `run`, a training that has ended, whose contents are ``undisturbed``."""

    folder: Path
    undisturbed: dict[str, Any]
    predictions: str

    def copy(self, folder: Path) -> Place:
        """The same in another folder, without a cache."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("cache"))
        return Place(folder, self.undisturbed, self.predictions)

    def difference(self, out: str) -> str | None:
        """What of a run in this place differs from the undisturbed one, if anything does."""
        found = contents(self.folder / out)
        names = [name for name, content in self.undisturbed.items() if found.get(name) != content]
        return f"{out} has another {' and '.join(names)}" if names else None

    def continued(self, out: str) -> list[str]:
        """What is wrong with a run that a fault has left, after it was continued, or begun where there was none."""
        if ended(self.folder / out):
            difference = self.difference(out)
            return [difference] if difference else []
        folder = self.folder / out
        if not (folder / "manifest.json").exists():  # it had not begun
            shutil.rmtree(folder, ignore_errors=True)
        words = resuming(out) if folder.exists() else training(out)
        outcome = run(words, self.folder)
        if outcome.code:
            return [f"not continued: {outcome.fault() or outcome.sentence}"]
        return [difference for difference in [self.difference(out)] if difference]


def contents(folder: Path) -> dict[str, Any]:
    """What must be the same in each repetition of a training: bytes of files, and the results."""
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in _SAME if (folder / name).exists()}
    found["results"] = json.loads((folder / "manifest.json").read_text())["results"]
    return found


def ended(folder: Path) -> bool:
    """Whether a run has all that a training leaves."""
    path = folder / "manifest.json"
    return path.exists() and bool(json.loads(path.read_text())["results"])


def make_place(folder: Path) -> Place:
    """Images of two classes, a training on them, and predictions of it."""
    folders(folder / "data", {"a": 20, "b": 20})
    _succeed(run(training("run"), folder))
    _succeed(run(predicting(), folder))
    return Place(folder, contents(folder / "run"), (folder / CSV).read_text())


def predicting(csv: str | Path = CSV) -> tuple[str, ...]:
    """The words that predict all images of the place."""
    return ("predict", "run", "data", "--csv", str(csv), *QUIET)


def evaluating(report: str | Path = REPORT, out: str = "run") -> tuple[str, ...]:
    """The words that evaluate its run."""
    return ("evaluate", out, "--report", str(report), *QUIET)


def _succeed(outcome: Outcome) -> None:
    assert outcome.code == 0, outcome.errors
