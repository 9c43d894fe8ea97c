"""Caffe's binary files, written for tests by protobuf from a text and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convolve.interop.caffe import read_caffe
from convolve.models.graph_file import tensor_names, whole_graph
from convolve.untrusted.caffe_messages import message_classes

FOLDER = Path(__file__).parent / "caffe"
Array = npt.NDArray[Any]


def write_caffemodel(text: str, blobs: Mapping[str, Sequence[Array]]) -> bytes:
    """The file of a network that has these arrays by the names of its layers."""
    from google.protobuf import text_format

    network = text_format.Parse(text, message_classes()["NetParameter"]())
    stored = message_classes()["StoredNetwork"]()
    for layer in network.layer:
        content = message_classes()["StoredLayer"](blobs=[write_blob(each) for each in blobs.get(layer.name, ())])
        stored.layer.append(layer.SerializeToString() + content.SerializeToString())
    for layer in network.layers:
        arrays = [write_blob(each, four=True) for each in blobs.get(layer.name, ())]
        content = message_classes()["StoredV1Layer"](blobs=arrays)
        stored.layers.append(layer.SerializeToString() + content.SerializeToString())
    network.ClearField("layer")
    network.ClearField("layers")
    rest: bytes = network.SerializeToString()
    return rest + bytes(stored.SerializeToString())


def write_blob(array: Array, *, four: bool = False) -> bytes:
    """An array with its sizes, or with four of them, as before 2014."""
    blob = message_classes()["StoredBlob"](data=[array.astype("<f4").tobytes()])
    if four:
        sizes = (1,) * (4 - array.ndim) + array.shape
        for name, size in zip(("num", "channels", "height", "width"), sizes, strict=True):
            setattr(blob, name, size)
    else:
        blob.shape = message_classes()["BlobShape"](dim=array.shape).SerializeToString()
    return bytes(blob.SerializeToString())


def random_blobs(definition: Path) -> dict[str, list[Array]]:
    """Arrays for the layers of a text; sums of batch normalization are of two batches."""
    random = np.random.default_rng(0)
    found = read_caffe(definition, None).definition
    assert found
    network = whole_graph(found)
    state, blobs = network.state_dict(), dict[str, list[Array]]()
    for name, own in tensor_names(found, network).items():
        layer, _, kind = name.rpartition(".")
        shape = tuple(state[own].shape)
        scale = 1 / np.sqrt(max(1, np.prod(shape[1:])))
        array = random.uniform(0.5, 2, shape) if kind == "running_var" else random.uniform(-scale, scale, shape)
        blobs.setdefault(layer, []).append(2 * array if kind.startswith("running") else array)
        if kind == "running_var":
            blobs[layer].append(np.array([2.0]))
    return blobs


def main() -> None:
    """Write the files with random numbers next to their texts."""
    for name in ("kinds", "old"):
        definition = FOLDER / f"{name}.prototxt"
        content = write_caffemodel(definition.read_text(), random_blobs(definition))
        definition.with_suffix(".caffemodel").write_bytes(content)


if __name__ == "__main__":
    main()
