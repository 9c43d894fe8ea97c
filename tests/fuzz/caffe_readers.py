"""Fuzzers of Caffe's files: networks as text, and networks with their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from convolve.interop.caffe import read_caffe
from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.definition import from_document, to_document
from convolve.models.graph_file import whole_graph
from tests.fuzz.reader import put, register

_FILES: Final = Path(__file__).parents[1] / "interop" / "caffe"
_NETWORKS: Final = ("kinds", "old", "alexnet_old", "googlenet_train", "resnet")
_SMALL: Final = ("kinds", "old")


def _use(found: ForeignNetwork) -> None:
    """Build the network, and let an image pass through it; without values, as when its shapes are looked for."""
    assert all(value.isfinite().all() for value in found.tensors.values())
    definition = found.definition
    if definition is None:
        return
    assert from_document(to_document(definition)) == definition
    with torch.device("meta"):
        outputs = whole_graph(definition).eval()([torch.empty(1, *definition.input)])
    assert len(outputs) == len(definition.layers)


def _read_text(content: bytes, folder: Path) -> None:
    put(folder, {"a.prototxt": content})
    _use(read_caffe(folder / "a.prototxt", None))


def _read_numbers(content: bytes, folder: Path) -> None:
    """With the text of one of the networks, whichever the file is of."""
    put(folder, {"a.caffemodel": content})
    _use(read_caffe(_FILES / f"{_SMALL[len(content) > 2**14]}.prototxt", folder / "a.caffemodel"))


def _read_both(content: bytes, folder: Path) -> None:
    put(folder, {"a.caffemodel": content})
    _use(read_caffe(None, folder / "a.caffemodel"))


register(
    "caffe-text",
    "interop.caffe untrusted.caffe",
    lambda: [(_FILES / f"{name}.prototxt").read_bytes() for name in _NETWORKS],
    _read_text,
)
_COVERED = "interop.caffe untrusted.caffe untrusted.caffe_messages"
register(
    "caffe-numbers", _COVERED, lambda: [(_FILES / f"{name}.caffemodel").read_bytes() for name in _SMALL], _read_numbers
)
register("caffe-alone", _COVERED, lambda: [(_FILES / f"{name}.caffemodel").read_bytes() for name in _SMALL], _read_both)
