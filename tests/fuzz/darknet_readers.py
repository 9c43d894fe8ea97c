"""Fuzzers of Darknet's files: networks and their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from convolve.interop.weights import read_weights
from convolve.models import create
from convolve.setup.starting_weights import StartingWeights
from tests.fuzz.reader import put, register

FILES: Final = Path(__file__).parents[1] / "interop" / "darknet" / "forward"
_NETWORKS: Final = ("odd_layers", "v1_small", "v2_small", "v3_small")
_WEIGHTS: Final = FILES / "odd_layers.weights"


def _build(content: bytes, folder: Path) -> None:
    """Build a network, and let an image pass through it; without values, as a training does first."""
    put(folder, {"a.cfg": content})
    with torch.device("meta"):
        network = create(str(folder / "a.cfg")).eval()
        outputs = network(torch.empty(1, *network.card.input))
    scores = outputs if isinstance(outputs, tuple) else (outputs,)
    assert network.card.output == "boxes" or scores[0].shape == (1, network.card.classes)


def _load(content: bytes, folder: Path) -> None:
    put(folder, {"a.weights": content})
    network = create(str(_WEIGHTS.with_suffix(".cfg")))
    StartingWeights(read_weights(folder / "a.weights"), 3, None, "a.weights").load(network)
    assert all(value.isfinite().all() for value in network.state_dict().values())


register(
    "darknet-cfg",
    "models.darknet_file setup.conversion untrusted.darknet",
    lambda: [(FILES / f"{name}.cfg").read_bytes() for name in _NETWORKS],
    _build,
)
register("darknet-weights", "interop.weights untrusted.darknet", lambda: [_WEIGHTS.read_bytes()], _load)
