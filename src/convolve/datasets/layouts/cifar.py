"""CIFAR-10 and CIFAR-100, python and binary versions (Krizhevsky 2009, "Learning multiple layers of features from tiny
images"), and STL-10's binary files (Coates, Ng, Lee 2011).

The python version is pickled. It is read by an unpickler that knows two inert stand-ins and nothing else, so that a
forged file can neither call nor build anything.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import Part, find_folder, labeled_arrays, read_lines
from convolve.errors import DataError
from convolve.untrusted.files import read_file
from convolve.untrusted.pickles import check_pickle
from convolve.values import Dataset, Pixels

NAME = "cifar"
EXPECTED = "data_batch_1[.bin], or train, test and meta (CIFAR), or train_X.bin (STL-10)"
MARK = re.compile(r"(^|/)(data_batch_[1-5](\.bin)?|meta|fine_label_names\.txt|train_X\.bin)$")
_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32
_Stem = tuple[str, str]  # split, file


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder or in one below it, or None. Raises `DataError` for missing and damaged files."""
    for is_version, open_folder in _VERSIONS:
        folder = find_folder(inventory, is_version)
        if folder is not None:
            return open_folder(inventory.root / folder)
    return None


def _ten_python(folder: Path) -> Dataset:
    stems = [("train", name) for name in _BATCHES] + [("test", "test_batch")]
    meta = folder / "batches.meta"
    classes = _names(meta, b"label_names", _TEN) if meta.is_file() else _TEN
    return labeled_arrays(
        folder, NAME, "CIFAR-10's python batches", [_read_pickled(folder, stem, b"labels") for stem in stems], classes
    )


def _hundred_python(folder: Path) -> Dataset:
    classes = _names(folder / "meta", b"fine_label_names")
    parts = [_read_pickled(folder, (name, name), b"fine_labels") for name in ("train", "test")]
    return labeled_arrays(folder, NAME, "CIFAR-100's python files train, test and meta", parts, classes)


def _ten_binary(folder: Path) -> Dataset:
    stems = [("train", f"{name}.bin") for name in _BATCHES] + [("test", "test_batch.bin")]
    names = folder / "batches.meta.txt"
    classes = read_lines(names) if names.is_file() else _TEN
    return labeled_arrays(
        folder, NAME, "CIFAR-10's binary batches", [_read_binary(folder, stem, 1) for stem in stems], classes
    )


def _hundred_binary(folder: Path) -> Dataset:
    parts = [_read_binary(folder, (name, f"{name}.bin"), 2) for name in ("train", "test")]
    classes = read_lines(folder / "fine_label_names.txt")
    return labeled_arrays(folder, NAME, "CIFAR-100's binary files train.bin and test.bin", parts, classes)


def _stl(folder: Path) -> Dataset:
    parts = []
    for split in ("train", "test"):
        path, labels = folder / f"{split}_X.bin", _bytes(folder / f"{split}_y.bin")
        images = _rows(path, _bytes(path), 3 * 96 * 96).reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)
        if len(labels) != len(images):
            raise DataError(
                f"{path} holds {len(images)} images, but {split}_y.bin {len(labels)} labels; copy both again."
            )
        values = np.frombuffer(labels, np.uint8).astype(np.int64) - 1
        parts.append(Part(split, path.stem, np.ascontiguousarray(images), values))
    return labeled_arrays(folder, NAME, "STL-10's binary files", parts, read_lines(folder / "class_names.txt"))


_VERSIONS: tuple[tuple[Callable[[frozenset[str]], bool], Callable[[Path], Dataset]], ...] = (
    (lambda names: not names.isdisjoint(_BATCHES), _ten_python),
    (lambda names: not names.isdisjoint(f"{name}.bin" for name in _BATCHES), _ten_binary),
    (frozenset(("train", "test", "meta")).issubset, _hundred_python),
    (frozenset(("train.bin", "fine_label_names.txt")).issubset, _hundred_binary),
    (frozenset(("train_X.bin", "class_names.txt")).issubset, _stl),
)


def _read_pickled(folder: Path, stem: _Stem, key: bytes) -> Part:
    split, name = stem
    content = _unpickle(folder / name)
    data, labels = content.get(b"data"), content.get(key)
    if not isinstance(data, _Array) or not isinstance(labels, list):
        raise DataError(f"{folder / name} lacks the entries 'data' and '{key.decode()}'; copy it again.")
    blob = data.unsigned_bytes()
    if blob is None:
        raise DataError(f"{folder / name} holds an array of another kind than unsigned bytes; copy it again.")
    if not all(type(label) is int and 0 <= label < 256 for label in labels):
        raise DataError(f"{folder / name} has {key.decode()} that are no whole numbers from 0 to 255; copy it again.")
    images = _rows(folder / name, blob, _PIXELS)
    return Part(split, name, _planes(images), np.array(labels, dtype=np.int64))


def _read_binary(folder: Path, stem: _Stem, labels: int) -> Part:
    split, name = stem
    rows = _rows(folder / name, _bytes(folder / name), labels + _PIXELS)
    return Part(split, name, _planes(rows[:, labels:]), rows[:, labels - 1].astype(np.int64))


def _planes(rows: Pixels) -> Pixels:
    """(N, 3072), red then green then blue, as (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _rows(path: Path, blob: bytes, length: int) -> Pixels:
    if not blob or len(blob) % length:
        raise DataError(f"{path} is cut short: {len(blob)} bytes are not a whole number of images; copy it again.")
    return np.frombuffer(blob, dtype=np.uint8).reshape(-1, length)


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}); the other files of its set are there.") from error


def _names(path: Path, key: bytes, default: tuple[str, ...] = ()) -> list[str]:
    """The names of classes that a pickled file has under a key."""
    found = _unpickle(path).get(key, default)
    try:
        return [name if isinstance(name, str) else bytes.decode(name) for name in found]
    except (TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} has {key.decode()} that are no texts; copy it again.") from error


def _unpickle(path: Path) -> dict[bytes, Any]:
    blob = _bytes(path)
    try:
        check_pickle(blob)
        content = _Inert(blob).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path} is damaged or not a CIFAR file ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a CIFAR file: it holds no dictionary; copy it again.")
    return {key.encode(errors="replace") if isinstance(key, str) else key: value for key, value in content.items()}


@final
class _Dtype:
    """Stands for numpy's dtype: has its code."""

    code: object = None  # where a pickle makes one without calling it

    def __init__(self, code: object, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """The byte order, which bytes do not have."""


@final
class _Array:
    """Stands for numpy's array: has its bytes."""

    state: object = None

    def __init__(self, *_: object) -> None:
        """What it is made of follows as its state."""

    def __setstate__(self, state: object) -> None:
        self.state = state

    def unsigned_bytes(self) -> bytes | None:
        """The array's bytes, row by row; None unless it holds unsigned bytes in that order."""
        match self.state:
            case (_, tuple(), _Dtype(code="u1" | b"u1"), False | 0, bytes() as values):
                return values
        return None


@final
class _Inert(pickle.Unpickler):
    """Knows an array's parts as stand-ins, and refuses every other name."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._left = len(content)  # characters that may yet be encoded; the same text could be, again and again

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; nothing is imported. Raises `DataError`."""
        root = module.partition(".")[0]
        if root == "numpy" and name in ("_reconstruct", "ndarray"):
            return _Array
        if root == "numpy" and name == "dtype":
            return _Dtype
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        raise DataError(f"A pickled file wants to use {module}.{name}, which no CIFAR file does; do not trust it.")

    def _encode(self, text: str, _encoding: str) -> bytes:
        """What newer Pythons write where Python 2 wrote plain bytes. Raises `ValueError` for more than the file has."""
        self._left -= len(text)
        if self._left < 0:
            raise ValueError("it builds more bytes than it has")
        return text.encode("latin1")
