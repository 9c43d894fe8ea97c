"""What every reader of another program's network must give."""

from __future__ import annotations

import torch

from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.graph_file import tensor_names, whole_graph


def check_network(network: ForeignNetwork) -> None:
    """The tensors are finite, and are those of the network that the definition describes. Raises `NetworkError`."""
    assert all(value.isfinite().all() and value.dtype == torch.float32 for value in network.tensors.values())
    if network.definition is None:
        return
    with torch.device("meta"):
        graph = whole_graph(network.definition)
        state = graph.state_dict()
        names = tensor_names(network.definition, graph)
    assert {name: state[own].shape for name, own in names.items()} == {
        name: value.shape for name, value in network.tensors.items()
    }
