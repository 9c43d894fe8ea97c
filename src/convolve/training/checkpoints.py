"""Checkpoints: one safetensors file each, with the state as JSON in its header, so that one rename commits both.

A run's `checkpoints` folder holds `last` and `previous`, from which a training goes on, and `best`, the weights of
the best epoch. A digest in the header finds files that a power cut has left torn.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from convolve.errors import ConvolveError, RunError, TrainingError
from convolve.files import append_text, atomic_write, shell_quote, write_text
from convolve.training.learner import Learner
from convolve.training.run import CHECKPOINTS
from convolve.training.step import State

_LAST, _PREVIOUS, _BEST = "last.safetensors", "previous.safetensors", "best.safetensors"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A state with its tensors by name, and the file that it came from."""

    state: State
    tensors: Mapping[str, Tensor]
    source: Path


@final
class RunFiles:
    """What a training writes into its run's folder while it runs: checkpoints and `metrics.jsonl`.

    Within an epoch a checkpoint is due after ``seconds``, at an epoch's end always; but saving takes no more than
    the ``fraction`` of the time. `metrics.jsonl` is the same in every repetition, so it holds no times.
    """

    def __init__(self, run: Path, seconds: float = 60.0, fraction: float = 0.05) -> None:
        self.run = run
        self._folder = run / CHECKPOINTS
        self._metrics = run / "metrics.jsonl"
        self._seconds, self._fraction = seconds, fraction
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def start(self, learner: Learner) -> State:
        """Bring the learner to the newest checkpoint; where there is none, write the first. Raises `RunError`,
        and `TrainingError` when the disk is full.
        """
        found = load(self._folder)
        state = found.state if found else State()
        if found:
            self._restore(found, learner)
        write_text(self._metrics, "".join(_line(metrics) for metrics in state.history))
        if not found:
            self.save(state, learner)
        return state

    def restore(self, learner: Learner) -> None:
        """Bring the learner's weights back to the newest checkpoint."""
        found = load(self._folder)
        if found:
            self._restore(found, learner)

    def due(self, ending: bool = False) -> bool:
        """Whether it is time to save, within an epoch or at its end."""
        waited = time.monotonic() - self._saved_at
        return waited * self._fraction >= self._cost and (ending or waited >= self._seconds)

    def save(self, state: State, learner: Learner) -> None:
        """Write a checkpoint now. Raises `TrainingError` when the disk is full."""
        started = time.monotonic()
        save(self._folder, state, learner.tensors())
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def close_epoch(self, state: State, learner: Learner, better: bool) -> None:
        """Write the epoch's line, the weights if they are the best so far, then a checkpoint when it is due."""
        append_text(self._metrics, _line(state.history[-1]))
        if better:
            save_best(self._folder, state, learner.evaluated.state_dict())
        if state.ended or self.due(ending=True):
            self.save(state, learner)

    def best(self, learner: Learner) -> None:
        """Bring the network to the best epoch's weights, in evaluation mode. Raises `RunError`."""
        learner.network.load_state_dict(dict(load_best(self._folder).tensors))
        learner.network.eval()

    def _restore(self, found: Checkpoint, learner: Learner) -> None:
        try:
            learner.restore(found.tensors)
        except (RuntimeError, ValueError, KeyError) as error:
            raise RunError(
                f"{found.source} does not fit this recipe's network; resume with the run's own recipe."
            ) from error


def save(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write `last`; the one before becomes `previous`. Raises `TrainingError` when the disk is full."""
    _write(folder / _LAST, state, tensors, folder / _PREVIOUS)


def save_best(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write `best`: the network's weights alone. Raises `TrainingError` when the disk is full."""
    _write(folder / _BEST, state, tensors)


def load(folder: Path) -> Checkpoint | None:
    """The newest undamaged checkpoint, or None where there is none yet. Raises `RunError` when all are damaged."""
    for draft in folder.glob(".*.safetensors.*"):
        draft.unlink(missing_ok=True)
    paths = [folder / name for name in (_LAST, _PREVIOUS) if (folder / name).is_file()]
    for path in paths:
        try:
            return _read(path)
        except RunError:
            continue
    if paths:
        raise RunError(f"The checkpoints in {folder} are damaged; restore them from a backup or train again.")
    return None


def load_best(folder: Path) -> Checkpoint:
    """The weights of the best epoch. Raises `RunError` when they are missing or damaged."""
    return _read(folder / _BEST)


def _write(path: Path, state: State, tensors: Mapping[str, Tensor], previous: Path | None = None) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps({"digest": _digest(plain), "state": json.dumps(dataclasses.asdict(state))})
    try:
        with atomic_write(path) as draft:
            try:
                save_file(plain, draft, metadata={"convolve": header})
            except SafetensorError as error:
                raise OSError(28, str(error)) from error
            if previous is not None and path.exists():
                path.replace(previous)
    except ConvolveError as error:
        run = shell_quote(path.parent.parent)
        raise TrainingError(f"{error} Then continue with: convolve train --resume {run}") from error


def _read(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["convolve"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        state, digest = State(**json.loads(header["state"])), header["digest"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({error}); restore it from a backup or train again.") from error
    if _digest(tensors) != digest:
        raise RunError(
            f"{path} is damaged: its content does not match its digest; restore it from a backup or train again."
        )
    return Checkpoint(state, tensors, path)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)};".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _line(metrics: dict[str, float]) -> str:
    return json.dumps(metrics) + "\n"
