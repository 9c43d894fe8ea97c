"""IDX files of MNIST and its relatives."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    blob = (
        bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.astype("u1").tobytes()
    )
    path.write_bytes(gzip.compress(blob) if path.suffix == ".gz" else blob)


def put(folder: Path, part: str, labels: list[int], suffix: str = "", dot: str = "-") -> np.ndarray:
    images = np.random.default_rng(len(labels)).integers(0, 256, (len(labels), 5, 4), dtype=np.uint8)
    write(folder / f"{part}-images{dot}idx3-ubyte{suffix}", images)
    write(folder / f"{part}-labels{dot}idx1-ubyte{suffix}", np.array(labels))
    return images


@pytest.mark.parametrize(
    ("suffix", "dot", "below"), [("", "-", "."), (".gz", "-", "."), ("", ".", "."), ("", "-", "MNIST/raw")]
)
def test_both_parts(tmp_path: Path, suffix: str, dot: str, below: str) -> None:
    train = put(tmp_path / below, "train", [3, 1, 4], suffix, dot)
    test = put(tmp_path / below, "t10k", [1, 5], suffix, dot)
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == tuple("012345")
    assert labels_of(data).values.tolist() == [3, 1, 4, 1, 5]
    assert {name: part.tolist() for name, part in data.given_splits.items()} == {"train": [0, 1, 2], "test": [3, 4]}
    for index, image in enumerate([*train, *test]):
        np.testing.assert_array_equal(data.images.read(index)[:, :, 0], image)
    assert [data.images.name(2), data.images.name(3)] == ["train-images#2", "t10k-images#0"]
    assert data.layout == "idx"
    assert f"train-images{dot}idx3-ubyte{suffix}" in data.reason


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_one_part_alone_is_divided_anew(tmp_path: Path, part: str) -> None:
    put(tmp_path, part, [0, 1, 0])
    data = open_dataset(tmp_path)
    assert data.given_splits == {}
    assert len(data) == 3
    assert "part is there" in data.reason


@pytest.mark.parametrize(
    ("kind", "classes", "labels"), [("letters", 26, [1, 26]), ("balanced", 47, [0, 46]), ("digits", 10, [0, 9])]
)
def test_emnist_stands_upright(tmp_path: Path, kind: str, classes: int, labels: list[int]) -> None:
    images = put(tmp_path, f"emnist-{kind}-train", labels)
    put(tmp_path, f"emnist-{kind}-test", labels)
    data = open_dataset(tmp_path)
    assert len(labels_of(data).classes) == classes
    assert labels_of(data).values.tolist() == [0, classes - 1] * 2
    np.testing.assert_array_equal(data.images.read(0)[:, :, 0], images[0].T)
    assert set(data.given_splits) == {"train", "test"}


def test_emnist_takes_classes_from_its_mapping(tmp_path: Path) -> None:
    put(tmp_path, "emnist-letters-train", [1, 2, 3])
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    assert labels_of(open_dataset(tmp_path)).classes == ("A", "B", "C")


def test_several_sets_must_be_told_apart(tmp_path: Path) -> None:
    put(tmp_path, "emnist-digits-train", [1])
    put(tmp_path, "emnist-letters-train", [1])
    with pytest.raises(DataError, match=r"holds 2 sets; give the images file of one: .*emnist-digits.*emnist-letters"):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path / "emnist-letters-train-images-idx3-ubyte")
    assert labels_of(data).classes[0] == "A"


def test_fashion_is_known_by_its_first_labels_and_its_folder(tmp_path: Path) -> None:
    put(tmp_path / "a", "train", [9, 0, 0, 3, 0, 2, 7, 2, 5, 5])
    put(tmp_path / "FashionMNIST" / "raw", "train", [1, 2])
    put(tmp_path / "kmnist", "train", [1, 2])
    assert labels_of(open_dataset(tmp_path / "a")).classes[9] == "Ankle boot"
    assert labels_of(open_dataset(tmp_path / "FashionMNIST")).classes[0] == "T-shirt/top"
    assert labels_of(open_dataset(tmp_path / "kmnist")).classes[:3] == ("o", "ki", "su")


def test_missing_labels_are_named(tmp_path: Path) -> None:
    put(tmp_path, "train", [1])
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(
        DataError, match=r"needs its labels next to it, as train-labels-idx1-ubyte or .*gz; found: train-im"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_cut_short(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, "train", [1, 2, 3], suffix)
    path = tmp_path / f"train-images-idx3-ubyte{suffix}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.*(cut short|cannot be read).*copy it again\."):
        open_dataset(tmp_path)


def test_other_files_under_that_name(tmp_path: Path) -> None:
    put(tmp_path, "train", [1])
    for content in (b"", b"<html>", b"\0\0\x0d\x03" + bytes(12)):
        (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
        with pytest.raises(DataError, match="is not an IDX file of unsigned bytes in 3 dimensions"):
            open_dataset(tmp_path)


def test_counts_that_differ(tmp_path: Path) -> None:
    put(tmp_path, "train", [1, 2])
    write(tmp_path / "train-labels-idx1-ubyte", np.array([1]))
    with pytest.raises(DataError, match=r"train-images in .* holds 2 images, but 1 labels"):
        open_dataset(tmp_path)


def test_hidden_companions_are_no_sets(tmp_path: Path) -> None:
    put(tmp_path, "train", [3, 1])
    for path in list(tmp_path.iterdir()):
        path.with_name(f"._{path.name}").write_bytes(bytes(30))
    assert labels_of(open_dataset(tmp_path)).values.tolist() == [3, 1]
