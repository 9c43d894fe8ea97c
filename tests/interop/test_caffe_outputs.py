"""Every layer of Caffe's networks against OpenCV's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from convolve.interop.caffe import read_caffe
from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import tensor_names, whole_graph
from tests.interop.caffe.make_outputs import HERE, NETWORKS, make_input, paths, summarize

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"


def definition_of(found: ForeignNetwork) -> NetworkDefinition:
    """The network in words, of a file that says it."""
    assert found.definition
    return found.definition


def compute_layers(found: ForeignNetwork, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every layer's output by its name."""
    channels, height, width = images.shape[1:]
    definition = replace(definition_of(found), input=(channels, height, width))
    network = whole_graph(definition).eval()
    names = tensor_names(definition, network)
    assert {*found.tensors} <= {*names}
    state = {key: value for key, value in network.state_dict().items() if "num_batches" in key}
    network.load_state_dict({**state, **{names[name]: value for name, value in found.tensors.items()}})
    with torch.no_grad():
        return dict(zip((layer.name for layer in definition.layers), network([images]), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_gives_what_opencv_gives(name: str) -> None:
    definition, weights = paths(name, WEIGHTS)
    if not definition.exists():
        pytest.skip("no shared weights here")
    found = read_caffe(definition, weights)
    outputs = compute_layers(found, torch.from_numpy(make_input(*NETWORKS[name][2:])))
    stored = np.load(HERE / f"{name}.npz")
    compared = [layer for layer in stored["layers"] if str(layer) in outputs]
    assert len(compared) >= 0.9 * len(stored["layers"])
    for layer, row in zip(stored["layers"], stored["rows"], strict=True):
        if str(layer) in outputs:
            difference = np.abs(summarize(outputs[str(layer)].numpy()) - row).max()
            assert difference <= 1e-4 * row[-1], f"{layer}: {difference / row[-1]:.2g}"
