"""The network that a recipe asks for: built, given the weights it starts from, and then another head where asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convolve import models
from convolve.errors import RunError
from convolve.interop.weights import imagenet_weights, read_weights, rename
from convolve.models import Network
from convolve.models.gap import has_gap, with_gap
from convolve.models.weights import inherited_layers, load_weights, translate
from convolve.training.recipe import Recipe
from convolve.training.run import Run, open_run
from convolve.values import Preprocessing


@dataclass(frozen=True)
class StartingWeights:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, where
    they come from, and the run that they belong to, if any.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    source: str
    run: Path | None = None

    def load(self, network: Network) -> str:
        """Load what fits, and say what that is. Raises `WeightsError`."""
        state = translate(network, self.state, rename)
        initialized = load_weights(network, state)
        if not inherited_layers(network, state):
            return f"randomly initialized: {', '.join(initialized)}" if initialized else "all of them fit"
        loaded = [name for name in network.state_dict() if name not in initialized and name.endswith(".weight")]
        layers = ", ".join(name.split(".")[-2] for name in loaded)
        return f"of a shallower network; {layers} are loaded as in the paper, the other layers are randomly initialized"


def find_starting_weights(weights: str, network: str) -> StartingWeights:
    """The weights that ``--weights`` names. Raises `WeightsError`, and `RunError` for a folder that is no ended run."""
    if weights == "imagenet":
        found = imagenet_weights(models.card(network).classifier or network)
        return StartingWeights(found.state, found.preprocessing.channels, found.preprocessing, found.source)
    path = Path(weights)
    if path.is_dir():
        run = open_run(path)
        preprocessing = run.manifest.preprocessing
        return StartingWeights(best_weights(run), preprocessing.channels, preprocessing, str(path), path)
    state = read_weights(path)
    channels = next((tensor.shape[1] for tensor in state.values() if tensor.ndim == 4), 3)
    return StartingWeights(state, channels, None, str(path))


def best_weights(run: Run) -> Mapping[str, Tensor]:
    """The weights of a run's best epoch. Raises `RunError` where the training has not ended, `WeightsError` for a
    damaged file.
    """
    if not run.weights.is_file():
        raise RunError(
            f"{run.folder} has not ended its training; continue with `convolve train --resume {run.folder}`."
        )
    return read_weights(run.weights)


def build_network(
    recipe: Recipe, outputs: int, preprocessing: Preprocessing, start: StartingWeights | None = None
) -> tuple[Network, str]:
    """A resolved recipe's network, and what of the weights that it starts from was loaded.

    Weights are loaded into the network as its paper has it, and ``--gap`` replaces the head afterwards; those of a
    network whose head was replaced already are loaded into the new one. Raises `NetworkError`, `WeightsError`.
    """
    size, seed = (preprocessing.height, preprocessing.width), recipe.seed or 0
    network = models.create(recipe.network or "", outputs, preprocessing.channels, size, seed=seed)
    if recipe.save_memory:
        models.save_memory(network)
    if not recipe.transfer.gap:
        return network, start.load(network) if start else ""
    pooled = with_gap(network, outputs, seed)
    if start is None:
        return pooled, ""
    if has_gap(start.state):
        return pooled, start.load(pooled)
    return pooled, f"{start.load(network)}; then --gap gave it a randomly initialized head"
