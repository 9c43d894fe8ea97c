"""A fuzzer of HDF5 files; each input costs a process that reads it."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convolve.errors import WeightsError
from convolve.untrusted.hdf5 import Hdf5Node, read_hdf5
from tests.fuzz.reader import put, register

_INPUTS = 8  # in the suite


def _file(**options: Any) -> bytes:
    """Weights as Keras has them, whole and in chunks that are packed, and attributes of all kinds."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w", **options) as file:
        file.attrs["model_config"] = '{"class_name": "Sequential", "config": []}'
        file.attrs["layer_names"] = np.array([b"dense", b"conv"])
        group = file.create_group("dense")
        group.attrs["weight_names"] = ["kernel:0", "한"]
        group.attrs["numbers"] = np.arange(3, dtype=">f4")
        group["dense/kernel:0"] = np.arange(12, dtype="f4").reshape(3, 4)
        group["dense/bias:0"] = np.arange(4, dtype="f8")
        packed = {"chunks": (2, 4), "compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("conv/kernel", data=np.arange(50, dtype="i4").reshape(5, 10), **packed)
        file.create_dataset("conv/fast", data=np.arange(64, dtype="f2"), compression="lzf")
        file["text"] = "a text"
    return stream.getvalue()


def _seeds() -> Sequence[bytes]:
    return [_file(), _file(libver="latest"), _file(track_order=True)]


def _read(content: bytes, folder: Path) -> None:
    put(folder, {"a.h5": content})
    try:
        root = read_hdf5(folder / "a.h5")
    except ValueError as error:
        raise WeightsError(f"It cannot be read ({error}); copy it again.") from error
    _use(root)


def _use(node: Hdf5Node) -> None:
    for text in node.attributes:
        text.encode()
    if node.array is not None:
        node.array.copy()
    for name, child in node.links.items():
        name.encode()
        _use(child)


if importlib.util.find_spec("h5py"):
    register("hdf5", "untrusted.hdf5", _seeds, _read, _INPUTS)
