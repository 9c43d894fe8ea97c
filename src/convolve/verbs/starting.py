"""The weights that a training starts from: another run's, a file's, or ImageNet's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convolve import models
from convolve.interop.weights import imagenet_weights, read_weights, rename
from convolve.models import Network
from convolve.models.weights import inherited_layers, load_weights, translate
from convolve.training.run import open_run
from convolve.values import Preprocessing
from convolve.verbs.running import kept_weights


@dataclass(frozen=True)
class Start:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, whose
    they are, and the run that they come from, if any.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    source: str
    run: Path | None = None

    def load(self, network: Network) -> str:
        """Load what fits, and say what that is. Raises `WeightsError`."""
        state = translate(network, self.state, rename)
        fresh = load_weights(network, state)
        if not inherited_layers(network, state):
            return f"fresh: {', '.join(fresh)}" if fresh else "all of them fit"
        kept = [name for name in network.state_dict() if name not in fresh and name.endswith(".weight")]
        layers = ", ".join(name.split(".")[-2] for name in kept)
        return f"a shallower network's; {layers} come over as in the paper, the other layers are fresh"


def starting_weights(weights: str, network: str) -> Start:
    """Find the weights. Raises `WeightsError`, and `RunError` for a folder that is no finished run."""
    if weights == "imagenet":
        found = imagenet_weights(models.card(network).classifier or network)
        return Start(found.state, found.preprocessing.channels, found.preprocessing, found.source)
    place = Path(weights)
    if place.is_dir():
        run = open_run(place)
        preprocessing = run.manifest.preprocessing
        return Start(kept_weights(run), preprocessing.channels, preprocessing, str(place), place)
    state = read_weights(place)
    channels = next((tensor.shape[1] for tensor in state.values() if tensor.ndim == 4), 3)
    return Start(state, channels, None, str(place))
