"""Networks in words with their tensors, run layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.graph_file import tensor_names, whole_graph

SHARED = Path(__file__).parents[3] / "shared"


def outputs_by_layer(network: ForeignNetwork, images: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """What each layer gives for images (N, C, H, W)."""
    assert network.definition is not None
    graph = whole_graph(network.definition).eval()
    names = tensor_names(network.definition, graph)
    assert {*names} == {*network.tensors}
    state = graph.state_dict()
    for name, own in names.items():
        assert state[own].shape == network.tensors[name].shape
        state[own].copy_(network.tensors[name])
    with torch.no_grad():
        outputs = graph([torch.from_numpy(np.ascontiguousarray(images))])
    layers = [layer.name for layer in network.definition.layers]
    return {name: output.numpy() for name, output in zip(layers, outputs, strict=True)}
