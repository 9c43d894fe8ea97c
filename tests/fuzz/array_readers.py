"""Fuzzers of files of numbers: IDX, CIFAR's batches, MATLAB's and NumPy's arrays."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat  # type: ignore[import-untyped]

from convolve.verbs.scratch.numbers import read_numbers
from tests.datasets.layouts.test_cifar import python2
from tests.fuzz.reader import put, register, register_file
from tests.fuzz.table_readers import PICTURE

_LAYOUTS = "datasets.layouts."
_RANDOM = np.random.default_rng(0)


def _idx(array: Any) -> bytes:
    values: bytes = array.astype(np.uint8).tobytes()
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + values


def _pickled(content: Mapping[bytes, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        python2(Path(folder, "a"), dict(content))
        return Path(folder, "a").read_bytes()


def _mat(compressed: bool, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=compressed)
    return stream.getvalue()


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _rows(count: int) -> Any:
    return _RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8)


def _read_matrix(content: bytes, folder: Path, name: str) -> None:
    put(folder, {name: content})
    read_numbers("--input", str(folder / name))


_IMAGES, _LABELS = _idx(_RANDOM.integers(0, 256, (4, 6, 5))), _idx(np.array([0, 1, 2, 1]))
_IDX = {"train-images-idx3-ubyte": _IMAGES, "train-labels-idx1-ubyte": _LABELS}
_EMNIST = {
    "emnist-mnist-train-images-idx3-ubyte": _IMAGES,
    "emnist-mnist-train-labels-idx1-ubyte": _LABELS,
}
_BATCH = {b"data": _rows(2), b"labels": [3, 7], b"batch_label": b"batch 1 of 5", b"filenames": [b"a.png", b"b.png"]}
_META = _pickled({b"label_names": [b"class%d" % index for index in range(10)], b"num_vis": 3072})
_PYTHON = {
    **{f"data_batch_{index}": _pickled({b"data": _rows(1), b"labels": [index]}) for index in range(1, 6)},
    "test_batch": _pickled({b"data": _rows(1), b"labels": [0]}),
    "batches.meta": _META,
}
_HUNDRED_NAMES = _pickled({b"fine_label_names": [b"class%d" % index for index in range(100)]})
_HUNDRED = {name: _pickled({b"data": _rows(1), b"fine_labels": [9]}) for name in ("train", "test")}
_FLOWERS = {f"jpg/image_{number:05d}.jpg": PICTURE for number in (1, 2, 3)}
_LABELS_MAT = _mat(compressed=True, labels=np.array([[1, 102, 1]], np.uint8))
_SETS = _mat(compressed=False, trnid=np.array([[1]]), valid=np.array([[2]]), tstid=np.array([[3]]))

register_file("idx-im", f"{_LAYOUTS}idx", "train-images-idx3-ubyte", _IMAGES, _IDX)
register_file("idx-la", f"{_LAYOUTS}idx", "train-labels-idx1-ubyte", _LABELS, _IDX)
register_file(
    "idx-gz", f"{_LAYOUTS}idx untrusted.compression", "train-images-idx3-ubyte.gz", gzip.compress(_IMAGES),
    {"train-labels-idx1-ubyte": _LABELS},
)  # fmt: skip
register_file("idx-map", f"{_LAYOUTS}idx", "emnist-mnist-mapping.txt", b"0 48\n1 49\n2 65\n", _EMNIST)
register_file("cifar-batch", f"{_LAYOUTS}cifar", "data_batch_1", _pickled(_BATCH), _PYTHON)
register_file("cifar-meta", f"{_LAYOUTS}cifar", "batches.meta", _META, _PYTHON)
register_file("cifar-hundred", f"{_LAYOUTS}cifar", "train", _HUNDRED["train"], {**_HUNDRED, "meta": _HUNDRED_NAMES})
register_file(
    "cifar-binary", f"{_LAYOUTS}cifar", "data_batch_1.bin", b"\3" + _rows(1).tobytes(),
    {**{f"data_batch_{index}.bin": b"\1" + _rows(1).tobytes() for index in range(1, 6)},
     "test_batch.bin": b"\2" + _rows(1).tobytes(), "batches.meta.txt": b"\n".join(b"c%d" % each for each in range(10))},
)  # fmt: skip
register_file("mat-labels", f"{_LAYOUTS}matlab", "imagelabels.mat", _LABELS_MAT, {**_FLOWERS, "setid.mat": _SETS})
register_file("mat-sets", f"{_LAYOUTS}matlab", "setid.mat", _SETS, {**_FLOWERS, "imagelabels.mat": _LABELS_MAT})
register_file(
    "mat-images", f"{_LAYOUTS}matlab", "train_32x32.mat",
    _mat(compressed=True, X=np.zeros((32, 32, 3, 2), np.uint8), y=np.array([[10], [3]], np.uint8)), {},
)  # fmt: skip
register(
    "matrix-npy",
    "verbs.scratch.numbers verbs.scratch.operations verbs.scratch.photographs tasks.detect.region_training"
    " untrusted.arrays",
    lambda: [_npy(np.arange(12.0).reshape(3, 4)), _npy(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))],
    lambda content, folder: _read_matrix(content, folder, "a.npy"),
)  # fmt: skip
register(
    "matrix-text", "verbs.scratch.numbers", lambda: [b"1 2 3\n4 5 6\n", b"1,2;3,4"],
    lambda content, folder: _read_matrix(content, folder, "a.csv"),
)  # fmt: skip
