"""CIFAR and STL-10; pickles are written as Python 2 wrote them, and forged ones do nothing."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of

RANDOM = np.random.default_rng(0)


def save_text(pickler: Any, text: bytes) -> None:
    """As Python 2 wrote a `str`."""
    short = len(text) < 256
    pickler.write((b"U" + bytes([len(text)]) if short else b"T" + struct.pack("<i", len(text))) + text)


class Python2Pickler(pickle._Pickler):
    dispatch: ClassVar[Any] = {**pickle._Pickler.dispatch, bytes: save_text}


def python2(path: Path, content: dict[bytes, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        Python2Pickler(stream, protocol=2).dump(content)
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))


def rows(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8)


def ten_python(folder: Path, write: Any = python2) -> np.ndarray:
    data = rows(12)
    for number, name in enumerate([f"data_batch_{index}" for index in range(1, 6)] + ["test_batch"]):
        write(folder / name, {b"data": data[2 * number : 2 * number + 2], b"labels": [number, 9 - number]})
    write(folder / "batches.meta", {b"label_names": [b"airplane", *(b"class%d" % index for index in range(1, 10))]})
    return data


def test_ten_python(tmp_path: Path) -> None:
    data = ten_python(tmp_path / "cifar-10-batches-py")
    for place in (tmp_path, tmp_path / "cifar-10-batches-py"):
        found = open_dataset(place)
        assert labels_of(found).classes[:2] == ("airplane", "class1")
        assert labels_of(found).values.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
        assert found.given_splits["test"].tolist() == [10, 11]
        np.testing.assert_array_equal(found.images.read(3)[5, 7], data[3].reshape(3, 32, 32)[:, 5, 7])
        assert found.images.name(3) == "data_batch_2#1"


def test_pickled_anew_by_python_3(tmp_path: Path) -> None:
    def python3(path: Path, content: dict[bytes, Any]) -> None:
        path.write_bytes(pickle.dumps(content, protocol=2))

    data = ten_python(tmp_path, python3)
    found = open_dataset(tmp_path)
    np.testing.assert_array_equal(found.images.read(11)[0, 0], data[11][[0, 1024, 2048]])


def test_hundred_python(tmp_path: Path) -> None:
    data = rows(4)
    for name, part in (("train", data[:3]), ("test", data[3:])):
        python2(
            tmp_path / name, {b"data": part, b"fine_labels": list(range(len(part))), b"coarse_labels": [0] * len(part)}
        )
    python2(tmp_path / "meta", {b"fine_label_names": [b"apple", b"bear", b"clock"], b"coarse_label_names": [b"x"]})
    found = open_dataset(tmp_path)
    assert labels_of(found).classes == ("apple", "bear", "clock")
    assert labels_of(found).values.tolist() == [0, 1, 2, 0]
    assert {name: len(part) for name, part in found.given_splits.items()} == {"train": 3, "test": 1}


def test_ten_binary(tmp_path: Path) -> None:
    data = rows(6)
    for index, name in enumerate([*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]):
        (tmp_path / name).write_bytes(bytes([index]) + data[index].tobytes())
    found = open_dataset(tmp_path)
    assert labels_of(found).classes[5] == "dog"
    assert labels_of(found).values.tolist() == list(range(6))
    np.testing.assert_array_equal(found.images.read(4).transpose(2, 0, 1).ravel(), data[4])
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    assert labels_of(open_dataset(tmp_path)).classes[5] == "f"


def test_hundred_binary(tmp_path: Path) -> None:
    data = rows(2)
    for index, name in enumerate(("train", "test")):
        (tmp_path / f"{name}.bin").write_bytes(bytes([19, 1 - index]) + data[index].tobytes())
    (tmp_path / "fine_label_names.txt").write_text("apple\nbear\n")
    found = open_dataset(tmp_path)
    assert labels_of(found).values.tolist() == [1, 0]
    np.testing.assert_array_equal(found.images.read(1).transpose(2, 0, 1).ravel(), data[1])


def test_stl(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    columns = RANDOM.integers(0, 256, (1, 3, 96, 96), dtype=np.uint8)
    for split, label in (("train", 1), ("test", 2)):
        (folder / f"{split}_X.bin").write_bytes(columns.tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([label]))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    found = open_dataset(tmp_path)
    assert labels_of(found).values.tolist() == [0, 1]
    np.testing.assert_array_equal(found.images.read(0)[10, 20], columns[0, :, 20, 10])


class Forged:
    """Runs a command when it is unpickled by something less careful."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "name"), [(os.mkdir, "mkdir"), (eval, "eval"), (np.memmap, "memmap"), (getattr, "getattr")]
)
def test_a_forged_pickle_runs_nothing(tmp_path: Path, function: Any, name: str, protocol: int) -> None:
    ten_python(tmp_path)
    target = tmp_path / "run"
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": Forged(function, str(target))}, protocol=protocol))
    with pytest.raises(DataError, match=f"wants to use .*{name}, which no CIFAR file does; do not trust it"):
        open_dataset(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        pickle.dumps([1]),
        pickle.dumps({b"data": b"12"}),
        pickle.dumps({b"data": np.ones(3, "f4"), b"labels": [1]}),
    ],
)
def test_damaged_batches(tmp_path: Path, content: bytes) -> None:
    ten_python(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(content)
    with pytest.raises(DataError, match=r"data_batch_3.*copy it again|another kind than unsigned bytes"):
        open_dataset(tmp_path)


def test_missing_and_short_batches(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3074))
    with pytest.raises(DataError, match=r"data_batch_1\.bin is cut short: 3074 bytes"):
        open_dataset(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3073))
    with pytest.raises(DataError, match=r"data_batch_2\.bin cannot be opened"):
        open_dataset(tmp_path)


def test_labels_outside_of_the_classes(tmp_path: Path) -> None:
    ten_python(tmp_path)
    python2(tmp_path / "test_batch", {b"data": rows(1), b"labels": [10]})
    with pytest.raises(DataError, match=f"{tmp_path.name}: A label lies outside the 10 classes"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".bin"])
def test_the_first_batch_is_missed_as_any_other(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"data_batch_2{suffix}").write_bytes(bytes(30))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DataError, match=rf"data_batch_1{suffix} cannot be opened"):
        open_dataset(tmp_path)
