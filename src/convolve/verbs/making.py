"""The network that a recipe asks for: built, given the weights it starts from, and then another head where asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from convolve import models
from convolve.models import Network, save_memory
from convolve.models.gap import has_gap, with_gap
from convolve.training.recipe import Recipe
from convolve.values import Preprocessing

if TYPE_CHECKING:
    from convolve.verbs.starting import Start


def network_of(
    recipe: Recipe, classes: int, preprocessing: Preprocessing, start: Start | None = None
) -> tuple[Network, str]:
    """A settled recipe's network, and what of the weights that it starts from was loaded.

    Weights go into the network as its paper has it, and ``--gap`` exchanges the head afterwards; those of a network
    whose head was exchanged already go into the new one. Raises `NetworkError`, `WeightsError`.
    """
    size, seed = (preprocessing.height, preprocessing.width), recipe.seed or 0
    network = models.create(recipe.network or "", classes, preprocessing.channels, size, seed=seed)
    if recipe.save_memory:
        save_memory(network)
    if not recipe.transfer.gap:
        return network, start.load(network) if start else ""
    pooled = with_gap(network, classes, seed)
    if start is None:
        return pooled, ""
    if has_gap(start.state):
        return pooled, start.load(pooled)
    return pooled, f"{start.load(network)}; then --gap gave it a fresh head"


def skeleton(recipe: Recipe, classes: int, preprocessing: Preprocessing) -> Network:
    """The same without weights, for what only its shapes say."""
    with torch.device("meta"):
        return network_of(recipe, classes, preprocessing)[0]


def check_making(recipe: Recipe) -> None:
    """Raise `NetworkError` where the recipe's network cannot be made as it is asked for."""
    if recipe.transfer.gap or recipe.save_memory:
        with torch.device("meta"):
            network = models.create(recipe.network or "")
            if recipe.save_memory:
                save_memory(network)
            if recipe.transfer.gap:
                with_gap(network, network.card.classes)
