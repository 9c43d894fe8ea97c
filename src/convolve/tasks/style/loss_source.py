"""Where the loss of a run comes from: its style image and its loss network, which are no part of the run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convolve.datasets.images import ImageFiles, to_channels
from convolve.errors import OptionError, RunError
from convolve.models import Network
from convolve.style_transfer.gatys import LossWeights
from convolve.style_transfer.layers import choose_layers
from convolve.style_transfer.perceptual_loss import PerceptualLoss, resize_style
from convolve.tasks.trained_network import open_trained_network
from convolve.training.manifest import digest_of_file


@dataclass(frozen=True)
class LossSource:
    """The ``style`` image and the ``loss_network`` (a name, or the folder of a run) with what their content adds up to,
    the longer ``side`` of the style image in the loss, and the weights of its parts.
    """

    style: str
    style_digest: str
    loss_network: str
    loss_network_digest: str
    side: int
    style_weight: float
    tv_weight: float

    def open(self) -> PerceptualLoss:
        """The loss. Raises `RunError` where the image or the network is not what the run has learned by."""
        if not Path(self.style).is_file() or digest_of_file(Path(self.style)) != self.style_digest:
            raise RunError(f"The style image {self.style} is gone or has changed since the training; restore it.")
        network, loss = _open(self)
        if _digest(network) != self.loss_network_digest:
            raise RunError(
                f"The loss network {self.loss_network} has changed since the training; restore it, or train again."
            )
        return loss


def open_loss(style: str, network: str, side: int, weights: LossWeights) -> tuple[LossSource, PerceptualLoss]:
    """A loss, and where it comes from. Raises `ImageError`, and for the network what `open_trained_network` raises."""
    name = str(Path(network).resolve()) if Path(network).is_dir() else network
    path = Path(style).expanduser().resolve()
    source = LossSource(str(path), "", name, "", side, weights.style, weights.tv)
    opened, loss = _open(source)
    own = {"style_digest": digest_of_file(path), "loss_network_digest": _digest(opened)}
    return LossSource(**{**vars(source), **own}), loss


def parse_source(document: Mapping[str, Any]) -> LossSource:
    """From what `vars` gave. Raises `ValueError`, `KeyError` or `TypeError`."""
    source = LossSource(**document)
    texts = (source.style, source.style_digest, source.loss_network, source.loss_network_digest)
    numbers = (source.side, source.style_weight, source.tv_weight)
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(number, int | float) for number in numbers
    ):
        raise ValueError("its loss is none")
    return source


def _open(source: LossSource) -> tuple[Network, PerceptualLoss]:
    style = to_channels(ImageFiles(Path(), (source.style,)).read(0), 3)
    network, preprocessing = open_trained_network(source.loss_network, "--loss-network")
    resized = resize_style(style, source.side)
    for what, (height, width) in (("the style image", resized.shape[:2]), ("--size", (source.side, source.side))):
        if min(height, width) < network.card.minimum:
            raise OptionError(
                f"{what} has {width}x{height} pixels in the loss, and {source.loss_network} needs "
                f"{network.card.minimum} on a side; choose a larger --size, or another --loss-network."
            )
    weights = LossWeights(source.style_weight, source.tv_weight)
    return network, PerceptualLoss(network, preprocessing, choose_layers(network, (), ()), resized, weights)


def _digest(network: Network) -> str:
    """Of all weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
