"""Checkpoints: one safetensors file each, with the state as JSON in its header, so that one rename commits both.

A run's `checkpoints` folder holds `last` and `previous`, from which a training goes on, and `best`, the weights of
the best epoch. A digest of state and tensors in the header finds files that are torn or in which a bit has flipped.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from convolve.errors import ConvolveError, RunError, TrainingError
from convolve.files import append_text, atomic_write, shell_quote, write_text
from convolve.progress import Listener, Message, silent
from convolve.training.learner import Learner
from convolve.training.manifest import is_number
from convolve.training.run import CHECKPOINTS
from convolve.training.step import State
from convolve.untrusted.documents import parse_json
from convolve.untrusted.weights import read_safetensors

_LAST, _PREVIOUS, _BEST = "last.safetensors", "previous.safetensors", "best.safetensors"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A state with its tensors by name, the file that it came from, and what is wrong with a newer one, if anything."""

    state: State
    tensors: Mapping[str, Tensor]
    source: Path
    damage: str = ""


@final
class RunFiles:
    """What a training writes into its run's folder while it runs: checkpoints and `metrics.jsonl`.

    Within an epoch a checkpoint is due after ``seconds``, at an epoch's end always; but saving takes no more than
    the ``fraction`` of the time. `metrics.jsonl` is the same in every repetition, so it holds no times. The listener is
    told of a damaged checkpoint.
    """

    def __init__(self, run: Path, seconds: float = 60.0, fraction: float = 0.05, listener: Listener = silent) -> None:
        self.run = run
        self._listener = listener
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
            if found.damage:
                where = f"epoch {state.epoch + 1} after step {state.step}"
                self._listener(Message(f"{found.damage} The training goes on from {found.source.name}, in {where}."))
            if state.best_epoch is not None:
                load_best(self._folder)  # or else its damage would be found at the end
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
    damage = ""
    for path in paths:
        try:
            return replace(_read(path), damage=damage)
        except RunError as error:
            damage = damage or str(error).partition(";")[0] + "."
    if paths:
        raise RunError(f"The checkpoints in {folder} are damaged; restore them from a backup or train again.")
    return None


def load_best(folder: Path) -> Checkpoint:
    """The weights of the best epoch. Raises `RunError` when they are missing or damaged."""
    return _read(folder / _BEST)


def _write(path: Path, state: State, tensors: Mapping[str, Tensor], previous: Path | None = None) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dataclasses.asdict(state))
    header = json.dumps({"digest_of_all": _digest(plain, text), "state": text})
    try:
        with atomic_write(path) as draft:
            try:
                save_file(plain, draft, metadata={"convolve": header})
            except SafetensorError as error:
                raise OSError(errno.ENOSPC, str(error)) from error
            if previous is not None and path.exists():
                path.replace(previous)
    except ConvolveError as error:
        run = shell_quote(path.parent.parent)
        raise TrainingError(f"{error} Then continue with: convolve train --resume {run}") from error


def _read(path: Path) -> Checkpoint:
    try:
        tensors, texts = read_safetensors(path)
        header = parse_json(texts.get("convolve", "no checkpoint"))
        text = header["state"]
        # A checkpoint of before its state was part of the digest has that of its tensors alone.
        whole = header["digest_of_all"] if "digest_of_all" in header else header["digest"]
        intact = whole == _digest(tensors, text if "digest_of_all" in header else "")
        state = _state(parse_json(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} cannot be read ({error}); restore it from a backup or train again.") from error
    if not intact:
        raise RunError(
            f"{path} is damaged: its content does not match its digest; restore it from a backup or train again."
        )
    return Checkpoint(state, tensors, path)


def _state(document: Any) -> State:
    """Raises `ValueError` with the field that is damaged, and `TypeError` where fields are missing or unknown."""
    state: Any = State(**document)
    counts = (state.epoch, state.step, state.images_done, state.waited, state.stalled, state.measured)
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        raise ValueError("its state counts epochs, steps or images by something else than whole numbers")
    if not is_number(state.factor) or not 0 <= state.factor <= 1 or not is_number(state.learning_rate):
        raise ValueError("its state has no learning rate")
    if not (state.best is None or is_number(state.best)) or type(state.best_epoch) not in (int, type(None)):
        raise ValueError("its state has no best epoch")
    if not isinstance(state.history, list) or not isinstance(state.ended, str):
        raise ValueError("its state has no history")
    for line in (state.sums, state.gradient_norms, *state.history):
        if not isinstance(line, dict) or not all(is_number(value) for value in line.values()):
            raise ValueError("its state has metrics that are no numbers")
    return State(**document)


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)};".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _line(metrics: dict[str, float]) -> str:
    return json.dumps(metrics) + "\n"
