"""The training loop. It never asks which task it is running."""

from __future__ import annotations

from contextlib import closing

from convolve.errors import Interrupted, TrainingError
from convolve.files import shell_quote
from convolve.training.checkpoints import RunFiles
from convolve.training.events import Events
from convolve.training.interrupt import Interruption
from convolve.training.learner import Learner
from convolve.training.schedules import PLATEAU_FACTOR, PLATEAU_PATIENCE
from convolve.training.step import State, Training, isolated, step


def fit(training: Training, files: RunFiles, events: Events) -> State:
    """Train, or continue from the run's last checkpoint; the network ends with the best epoch's weights.

    Raises `Interrupted` on Ctrl-C, SIGTERM or SIGHUP, once the step is done and saved, and `TrainingError` when the
    loss became non-finite, with the last good weights back in place, or when memory or disk is full.
    """
    learner = Learner(training.task.network, training.recipe)
    state = files.start(learner)
    with isolated(training, files.run), Interruption() as interruption:
        while not state.ended:
            if training.phases:
                training.phases.begin_epoch(state.epoch, training.recipe.epochs or 1)
            learner.train()
            with closing(training.train.epoch(state.epoch, state.step)) as batches:
                for batch in batches:
                    if not step(training, learner, state, batch):
                        raise _non_finite(training, files, learner, state)
                    events.after_step(state)
                    _after_step(training, files, learner, state, interruption)
            if not learner.is_finite():
                raise _non_finite(training, files, learner, state)
            better = state.close_epoch(training.validate(learner.evaluated), training.task.monitored)
            _after_epoch(training, state)
            files.close_epoch(state, learner, better)
            events.after_epoch(state)
    files.best(learner)
    return state


def _after_step(
    training: Training, files: RunFiles, learner: Learner, state: State, interruption: Interruption
) -> None:
    """Between two steps: save when due, stop when asked. A gradient over half of the split is not saved."""
    whole = training.recipe.optimization.optimizer == "gradient-descent"
    if (interruption.requested or files.due()) and not whole:
        if not learner.is_finite():
            raise _non_finite(training, files, learner, state)
        files.save(state, learner)
    if interruption.requested:
        raise Interrupted(
            f"Stopped in epoch {state.epoch + 1} after step {state.step} of {len(training.train)}; "
            f"continue with: convolve train --resume {shell_quote(files.run)}"
        )


def _after_epoch(training: Training, state: State) -> None:
    """After an epoch: lower the learning rate on a plateau, stop early, or end."""
    recipe = training.recipe
    if recipe.optimization.schedule == "plateau" and state.stalled >= PLATEAU_PATIENCE:
        state.factor, state.stalled = state.factor * PLATEAU_FACTOR, 0
    patience = recipe.regularization.patience or 0
    if state.epoch >= (recipe.epochs or 1):
        state.ended = f"all {state.epoch} epochs are done"
    elif patience and state.waited >= patience:
        state.ended = f"{state.waited} epochs without improvement on epoch {state.best_epoch}"
    elif training.limit and training.limit.is_over():
        state.ended = f"the time was over after {state.epoch} of {recipe.epochs} epochs"


def _non_finite(training: Training, files: RunFiles, learner: Learner, state: State) -> TrainingError:
    where = f"step {state.step + 1} of epoch {state.epoch + 1}"
    files.restore(learner)
    rate = state.learning_rate or training.recipe.optimization.learning_rate or 0.0
    advice = [f"--learning-rate {rate / 10:.2g}"]
    advice += [] if training.recipe.optimization.clip_norm else ["--clip-norm 1"]
    advice += ["--precision fp32"] if training.runtime.precision == "bf16" else []
    return TrainingError(
        f"The loss or a weight became non-finite (NaN or inf) at {where}; the last good state was restored. "
        f"Train again with {' or '.join(advice)}."
    )
