"""Keeping the first stages of a network as they are while the rest is trained."""

from __future__ import annotations

from convolve.errors import NetworkError
from convolve.models.network import Network


def freeze(network: Network, stage: str) -> None:
    """Freeze a stage and all before it: their parameters ask for no gradient, so none is computed for them.

    `training.learner` keeps their batch normalization (and dropout) in evaluation mode. Raises `NetworkError` for an
    unknown stage.
    """
    names = list(network.stages)
    if stage not in names:
        raise NetworkError(f"{network.card.name} has no stage '{stage}' to freeze; its stages are {', '.join(names)}.")
    for name in names[: names.index(stage) + 1]:
        network.stages[name].requires_grad_(requires_grad=False)
