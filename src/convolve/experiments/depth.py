"""Plain and residual networks of different depths, trained alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS, SIZE = 5, 16


def compare_depths(
    trial: Trial, networks: Sequence[str]
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, float]]:
    """Curves of the training error by network, and its last value and the test error by `NETWORK, training` and
    `NETWORK, test`.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    errors: dict[str, float] = {}
    for network in networks:
        measured = trial.train(network, trial.recipe(network, EPOCHS, size=SIZE))
        curves[network] = [(float(epoch), error) for epoch, error in enumerate(measured.training_errors, 1)]
        errors |= {f"{network}, training": measured.training_error, f"{network}, test": measured.test_error}
    return curves, errors
