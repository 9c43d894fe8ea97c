"""The maps of some layers of a network, which is run no further than the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from convolve.models import Network


def layer_maps(network: Network, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """What leaves each of some layers below `Network.stages` for normalized images (N, C, H, W), by the layer's name.

    Gradients flow through.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
            maps[name] = output
            return output.clone()  # the layer after it may work in place

        return hook

    handles = [network.stages.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
    try:
        for stage in network.stages.values():
            images = stage(images)
            if len(maps) == len(layers):
                break
    finally:
        for handle in handles:
            handle.remove()
    return maps
