"""The weights that a training starts from: another run's, a file's, or ImageNet's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convolve.interop.files import read_weights
from convolve.interop.torchvision import TWINS, imagenet_weights, renamed
from convolve.networks import Network
from convolve.networks.convolutional import convolutional_state
from convolve.networks.fcn import classifier
from convolve.networks.weights import load_weights
from convolve.training.run import open_run
from convolve.values import Preprocessing
from convolve.verbs.running import kept_weights


@dataclass(frozen=True)
class Start:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, and
    the run that they come from, if any.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    run: Path | None = None

    def load(self, network: Network) -> list[str]:
        """Load what fits; the head's parameters that stay fresh are returned. Raises `WeightsError`."""
        own = network.state_dict()
        foreign = network.card.name in TWINS and any(name not in own for name in self.state)
        state = renamed(network, self.state) if foreign else self.state
        return load_weights(network, convolutional_state(network, state) if network.reads else state)


def starting_weights(weights: str, network: str) -> Start:
    """Find the weights. Raises `WeightsError`, and `RunError` for a folder that is no finished run."""
    if weights == "imagenet":
        state, preprocessing = imagenet_weights(classifier(network) or network)
        return Start(state, preprocessing.channels, preprocessing)
    place = Path(weights)
    if place.is_dir():
        run = open_run(place)
        preprocessing = run.manifest.preprocessing
        return Start(kept_weights(run), preprocessing.channels, preprocessing, place)
    state = read_weights(place)
    channels = next((tensor.shape[1] for tensor in state.values() if tensor.ndim == 4), 3)
    return Start(state, channels, None)
