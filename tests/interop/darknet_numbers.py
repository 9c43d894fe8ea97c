"""Numbers of the original program, and networks with its weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from convolve.interop.darknet import NUMBERS, darknet_state
from convolve.interop.weights import read_weights
from convolve.layers.box_head import ConvolutionalBoxHead
from convolve.models import Network, create
from convolve.models.weights import load_weights

HERE = Path(__file__).parent / "darknet"
SHARED = Path(__file__).parents[3] / "shared"


def with_weights(cfg: Path, weights: Path, classes: int | None = None) -> Network:
    """The network of a `.cfg`, all of its layers loaded, in evaluation mode."""
    network = create(str(cfg), classes)
    assert load_weights(network, darknet_state(network, read_weights(weights)[NUMBERS], str(weights))) == []
    return network.eval()


def box_head(network: Network) -> ConvolutionalBoxHead:
    """The network's head, which gives out boxes."""
    assert isinstance(network.head, ConvolutionalBoxHead)
    return network.head


@contextmanager
def outputs_by_layer(network: Network) -> Iterator[dict[int, Tensor]]:
    """What each layer of the `.cfg` gives, by its index, while the network runs."""
    found: dict[int, Tensor] = {}

    def note(index: int) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[index] = output.clone()

        return hook

    handles = [
        module.register_forward_hook(note(int(name.rpartition(".")[2])))
        for name, module in network.named_modules()
        if re.search(r"(stages\.stage\d+|layers)\.\d+$", name)
    ]
    yield found
    for handle in handles:
        handle.remove()
