"""What most experiments do: two trainings that differ in one thing."""

from __future__ import annotations

from dataclasses import replace

from convolve.datasets.augmentation import Augmentation
from convolve.experiments.claim import Outcome
from convolve.experiments.trial import Measured, Trial
from convolve.training.recipe import Optimization, Recipe


def compare_errors(trial: Trial, without: tuple[str, Recipe], with_it: tuple[str, Recipe]) -> Outcome:
    """The effect is by how much the test error is lower in the second of two named recipes."""
    measured = trial.train_all(dict((without, with_it)))
    values = errors_by_name(measured)
    return Outcome(values[without[0]] - values[with_it[0]], values)


def compare_gaps(trial: Trial, without: tuple[str, Recipe], with_it: tuple[str, Recipe]) -> Outcome:
    """The effect is by how much the gap from training error to test error is smaller in the second of two named
    recipes.
    """
    measured = trial.train_all(dict((without, with_it)))
    gaps = {name: one.test_error - one.training_error for name, one in measured.items()}
    values: dict[str, float] = {}
    for name, one in measured.items():
        values |= {f"{name}, training": one.training_error, f"{name}, test": one.test_error}
    return Outcome(gaps[without[0]] - gaps[with_it[0]], values)


def errors_by_name(measured: dict[str, Measured]) -> dict[str, float]:
    """Test errors in per cent, by the names of the trainings."""
    return {name: one.test_error for name, one in measured.items()}


def with_sgd(recipe: Recipe, learning_rate: float | None = None, momentum: float = 0.9) -> Recipe:
    """The recipe with stochastic gradient descent at a constant learning rate, and no weight decay."""
    return replace(
        recipe,
        optimization=Optimization(
            optimizer="momentum" if momentum else "sgd",
            learning_rate=learning_rate,
            momentum=momentum or None,
            weight_decay=0.0,
            schedule="constant",
            warmup=0.0,
        ),
    )


def augmented(recipe: Recipe, augmentation: Augmentation) -> Recipe:
    """The recipe with augmentation."""
    return replace(recipe, augmentation=augmentation)
