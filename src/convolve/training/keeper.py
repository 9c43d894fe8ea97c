"""What a training leaves on disk while it runs, so that it can be killed at any moment and go on bit for bit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import final

from convolve.errors import RunError
from convolve.files import append_text, write_text
from convolve.training import checkpoint
from convolve.training.learner import Learner
from convolve.training.state import State


@final
class Keeper:
    """Checkpoints and `metrics.jsonl` of a run's folder.

    Within an epoch a checkpoint is due after ``seconds``, at an epoch's end always; but saving takes no more than
    that ``share`` of the time. `metrics.jsonl` holds what is the same in every repetition, so no times.
    """

    def __init__(self, run: Path, seconds: float = 60.0, share: float = 0.05) -> None:
        self.run = run
        self._folder = run / "checkpoints"
        self._metrics = run / "metrics.jsonl"
        self._seconds, self._share = seconds, share
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def start(self, learner: Learner) -> State:
        """Bring the learner to the newest checkpoint; where there is none, write the first. Raises `RunError`,
        and `TrainingError` when the disk is full.
        """
        found = checkpoint.load(self._folder)
        state = found.state if found else State()
        if found:
            self._restore(found, learner)
        write_text(self._metrics, "".join(_line(figures) for figures in state.history))
        if not found:
            self.save(state, learner)
        return state

    def restore(self, learner: Learner) -> None:
        """Bring the learner's weights back to the newest checkpoint."""
        found = checkpoint.load(self._folder)
        if found:
            self._restore(found, learner)

    def due(self, ending: bool = False) -> bool:
        """Whether it is time to save, within an epoch or at its end."""
        waited = time.monotonic() - self._saved_at
        return waited * self._share >= self._cost and (ending or waited >= self._seconds)

    def save(self, state: State, learner: Learner) -> None:
        """Write a checkpoint now. Raises `TrainingError` when the disk is full."""
        started = time.monotonic()
        checkpoint.save(self._folder, state, learner.tensors())
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def close_epoch(self, state: State, learner: Learner, better: bool) -> None:
        """Write the epoch's line, the weights if they are the best so far, then a checkpoint when it is due."""
        append_text(self._metrics, _line(state.history[-1]))
        if better:
            checkpoint.save_best(self._folder, state, learner.kept.state_dict())
        if state.ended or self.due(ending=True):
            self.save(state, learner)

    def best(self, learner: Learner) -> None:
        """Bring the network to the best epoch's weights, in evaluation mode. Raises `RunError`."""
        learner.network.load_state_dict(dict(checkpoint.load_best(self._folder).tensors))
        learner.network.eval()

    def _restore(self, found: checkpoint.Checkpoint, learner: Learner) -> None:
        try:
            learner.restore(found.tensors)
        except (RuntimeError, ValueError, KeyError) as error:
            raise RunError(f"{found.source} does not fit this recipe's network; resume with the run's own.") from error


def _line(figures: dict[str, float]) -> str:
    return json.dumps(figures) + "\n"
