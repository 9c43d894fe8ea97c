"""Fuzzers of Caffe's files: networks as text, and networks with their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch

from convolve.interop.caffe import read_caffe
from convolve.interop.foreign_network import ForeignNetwork
from convolve.models.definition import from_document, to_document
from convolve.models.graph_file import whole_graph
from tests.fuzz.reader import put, register
from tests.interop.caffe_files import write_caffemodel

_FILES: Final = Path(__file__).parents[1] / "interop" / "caffe"
_NETWORKS: Final = ("kinds", "old", "alexnet_old", "googlenet_train", "resnet")
_SMALL: Final = ("kinds", "old")
_TRAINED: Final = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
        transform_param { crop_size: 8 scale: 0.5 mean_value: 104 mean_value: 117 mean_value: 123 } }
layer { name: "split" type: "Split" bottom: "data" top: "a" top: "b" phase: TRAIN }
layer { name: "conv" type: "Convolution" bottom: "a" top: "conv" convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "cut" type: "Slice" bottom: "label" top: "one" top: "other" slice_param { slice_point: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "one" top: "loss" loss_weight: 1 }
layer { name: "silence" type: "Silence" bottom: "other" bottom: "b" }
"""


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


def _read_alone(content: bytes, folder: Path) -> None:
    put(folder, {"a.caffemodel": content})
    _use(read_caffe(None, folder / "a.caffemodel"))


def _trained() -> bytes:
    """A file as training writes it."""
    blobs = {"conv": [np.ones((2, 3, 3, 3)), np.ones(2)], "ip": [np.ones((4, 18)), np.ones(4)]}
    return write_caffemodel(_TRAINED, blobs)


register(
    "caffe-text",
    "interop.caffe untrusted.caffe",
    lambda: [(_FILES / f"{name}.prototxt").read_bytes() for name in _NETWORKS],
    _read_text,
)
register(
    "caffe-numbers",
    "interop.caffe untrusted.caffe",
    lambda: [(_FILES / f"{name}.caffemodel").read_bytes() for name in _SMALL],
    _read_numbers,
)
register(
    "caffe-alone",
    "interop.caffe untrusted.caffe",
    lambda: [*((_FILES / f"{name}.caffemodel").read_bytes() for name in _SMALL), _trained()],
    _read_alone,
)
