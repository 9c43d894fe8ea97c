"""The training loop. It never asks which task it is running."""

from __future__ import annotations

from convolve.errors import TrainingError
from convolve.training.events import Events
from convolve.training.interrupt import Interrupted, Interruption
from convolve.training.keeper import Keeper
from convolve.training.learner import Learner
from convolve.training.recipe import Recipe
from convolve.training.schedules import PLATEAU_FACTOR, PLATEAU_PATIENCE
from convolve.training.state import State
from convolve.training.step import Training, apart, batches, step


def fit(training: Training, keeper: Keeper, events: Events) -> State:
    """Train, or go on where the keeper's run stands; the network ends with the best epoch's weights, evaluating.

    Raises `Interrupted` on Ctrl-C or SIGTERM, once the step is done and saved, and `TrainingError` when the loss is
    no finite number, with the last good weights back in place, or when memory or disk are full.
    """
    learner = Learner(training.task.network, training.recipe)
    state = keeper.start(learner)
    with apart(training), Interruption() as interruption:
        while not state.ended:
            learner.train()
            with batches(training.train, state.epoch, state.step) as rest:
                for batch in rest:
                    if not step(training, learner, state, batch):
                        raise _not_finite(training, keeper, learner, state)
                    events.after_step(state)
                    _between(training, keeper, learner, state, interruption)
            if not learner.sound():
                raise _not_finite(training, keeper, learner, state)
            better = state.close_epoch(training.validate(learner.kept), training.task.criterion)
            _decide(training.recipe, state)
            keeper.close_epoch(state, learner, better)
            events.after_epoch(state)
    keeper.best(learner)
    return state


def _between(training: Training, keeper: Keeper, learner: Learner, state: State, interruption: Interruption) -> None:
    """Between two steps: save when due, leave when asked. Half of a gradient over the whole split is not saved."""
    whole = training.recipe.optimization.optimizer == "gradient-descent"
    if (interruption.asked or keeper.due()) and not whole:
        if not learner.sound():
            raise _not_finite(training, keeper, learner, state)
        keeper.save(state, learner)
    if interruption.asked:
        raise Interrupted(
            f"Stopped in epoch {state.epoch + 1} after step {state.step} of {len(training.train)}; "
            f"go on with: convolve train --resume {keeper.run}"
        )


def _decide(recipe: Recipe, state: State) -> None:
    """After an epoch: lower the plateau's rate, end early, or end."""
    if recipe.optimization.schedule == "plateau" and state.stalled >= PLATEAU_PATIENCE:
        state.factor, state.stalled = state.factor * PLATEAU_FACTOR, 0
    patience = recipe.regularization.patience or 0
    if state.epoch >= (recipe.epochs or 1):
        state.ended = f"all {state.epoch} epochs are done"
    elif patience and state.waited >= patience:
        state.ended = f"{state.waited} epochs without a better figure than in epoch {state.best_epoch}"


def _not_finite(training: Training, keeper: Keeper, learner: Learner, state: State) -> TrainingError:
    where = f"step {state.step + 1} of epoch {state.epoch + 1}"
    keeper.restore(learner)
    rate = state.rate or training.recipe.optimization.rate or 0.0
    advice = [f"--rate {rate / 10:.2g}"]
    advice += [] if training.recipe.optimization.clip else ["--clip 1"]
    advice += ["--precision fp32"] if training.runtime.precision == "bf16" else []
    return TrainingError(
        f"The loss or a weight is no finite number any more at {where}; the last good state is back in place. "
        f"Train again with {' or '.join(advice)}."
    )
