"""Fuzzers of the definition of a network that a run keeps, and of the files in which a person writes one."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from convolve.models import create
from convolve.models.definition import to_document
from tests.fuzz.reader import put, register
from tests.models.definitions import convolution, gated, layer, network
from tests.models.own_networks import INCEPTION, LECTURES, NESTED, RESIDUAL


def _build(content: bytes, folder: Path) -> None:
    """Build a network, and let an image pass through it; without values, as a training does first."""
    put(folder, {"network.json": content})
    _run(str(folder / "network.json"))


def _run(name: str) -> None:
    with torch.device("meta"):
        found = create(name).eval()
        scores = found(torch.empty(1, *found.card.input))
    assert scores.shape[:2] == (1, found.card.classes)


def _build_blocks(content: bytes, folder: Path) -> None:
    put(folder, {"mine.toml": content})
    _run(str(folder / "mine.toml"))


def _build_text(content: bytes, folder: Path) -> None:
    """The text of a network, which is always taken for one."""
    del folder
    _run(f"{content.decode('utf-8', errors='replace')} |")


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
register(
    "network-toml",
    "models.own_network models.network_blocks models.layer_builder models.layer_words",
    lambda: [text.encode() for text in (RESIDUAL, INCEPTION, NESTED)],
    _build_blocks,
)
register(
    "network-text",
    "models.own_network models.layer_builder models.layer_words",
    lambda: [LECTURES[name].encode() for name in ("simple_cnn", "batchnorm_cnn", "typical_cnn")],
    _build_text,
)
