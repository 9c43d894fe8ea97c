"""A fuzzer of the definition of a network that a converted run keeps."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from convolve.models import create
from convolve.models.definition import to_document
from tests.fuzz.reader import put, register
from tests.models.definitions import convolution, gated, layer, network


def _build(content: bytes, folder: Path) -> None:
    """Build a network, and let an image pass through it; without values, as a training does first."""
    put(folder, {"network.json": content})
    with torch.device("meta"):
        found = create(str(folder / "network.json")).eval()
        scores = found(torch.empty(1, *found.card.input))
    assert scores.shape[:2] == (1, found.card.classes)


def _pixels() -> bytes:
    definition = network(
        convolution("a", "image", 4, stride=2),
        layer("pool", "pool", "a", mode="average", kernel=(3, 3), stride=(1, 1), padding=(0, 2, 1, 1), ceil=True),
        layer("up", "deconvolution", "pool", out=4, kernel=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0)),
        layer("crop", "crop", "up", "image", offset=(0, 0)),
        layer("norm", "batch_norm", "crop", eps=1e-5),
        layer("score", "add", "norm", "crop", coefficients=(1.0, 0.5)),
    )
    return json.dumps(to_document(definition)).encode()


register(
    "network-json",
    "models.graph_file models.definition models.definition_layers layers.graph_layers",
    lambda: [json.dumps(to_document(gated())).encode(), _pixels()],
    _build,
)
