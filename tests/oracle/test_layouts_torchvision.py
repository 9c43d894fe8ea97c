"""The layouts read what torchvision's own datasets read, from the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy.io import savemat  # type: ignore[import-untyped]

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.matlab import flower_names
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of

RANDOM = np.random.default_rng(0)


def equal(found: Dataset, part: str, oracle: Any) -> None:
    """Same order, pixels and labels."""
    assert len(found.given_splits[part]) == len(oracle) > 0
    for index, (image, label) in zip(found.given_splits[part], oracle, strict=True):
        np.testing.assert_array_equal(found.images.read(int(index)).squeeze(), np.asarray(image))
        assert labels_of(found).values[index] == label


def pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(RANDOM.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(folder / name)


def test_image_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("ant", "bee", "cow"):
            pictures(tmp_path / split / name, ["1.png", "2.jpg", "3.png"])
    found = open_dataset(tmp_path)
    for part, folder in (("train", "train"), ("validation", "val")):
        oracle = torchvision.datasets.ImageFolder(str(tmp_path / folder))
        equal(found, part, oracle)
        assert list(labels_of(found).classes) == oracle.classes


def test_mnist(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        shape = bytes([0, 0, 0, 6])
        side = bytes([0, 0, 0, 28])
        images = RANDOM.integers(0, 256, 6 * 28 * 28, dtype=np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + shape + side + side + images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + shape + bytes([0, 9, 3, 1, 2, 2]))
    found = open_dataset(tmp_path)
    for part, train in (("train", True), ("test", False)):
        equal(found, part, torchvision.datasets.MNIST(str(tmp_path), train=train))


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "test"):
        images = RANDOM.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
        savemat(tmp_path / f"{split}_32x32.mat", {"X": images, "y": np.array([[10], [1], [9], [10]], np.uint8)})
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)
    found = open_dataset(tmp_path)
    for part in ("train", "test"):
        equal(found, part, torchvision.datasets.SVHN(str(tmp_path), split=part))


def test_stl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}_X.bin").write_bytes(RANDOM.integers(0, 256, 2 * 3 * 96 * 96, dtype=np.uint8).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([2, 1]))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    monkeypatch.setattr(torchvision.datasets.STL10, "_check_integrity", lambda self: True)
    found = open_dataset(tmp_path)
    for part in ("train", "test"):
        equal(found, part, torchvision.datasets.STL10(str(tmp_path), split=part))


def test_flowers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "flowers-102"
    pictures(folder / "jpg", [f"image_{number:05d}.jpg" for number in range(1, 7)])
    savemat(folder / "imagelabels.mat", {"labels": np.array([[77, 1, 102, 1, 2, 3]], np.uint8)})
    savemat(folder / "setid.mat", {"trnid": [[1, 2]], "valid": [[3, 4]], "tstid": [[5, 6]]})
    monkeypatch.setattr(torchvision.datasets.Flowers102, "_check_integrity", lambda self: True)
    found = open_dataset(tmp_path)
    for part, split in (("train", "train"), ("validation", "val"), ("test", "test")):
        equal(found, part, torchvision.datasets.Flowers102(str(tmp_path), split=split))
    assert list(flower_names()) == torchvision.datasets.Flowers102.classes


def test_pets(tmp_path: Path) -> None:
    folder = tmp_path / "oxford-iiit-pet"
    names = ["Abyssinian_1", "american_bulldog_10", "Bengal_3"]
    (folder / "annotations").mkdir(parents=True)
    pictures(folder / "images", [f"{name}.jpg" for name in names] + ["Abyssinian_2.jpg"])
    lines = [f"{name} {number} 1 1" for number, name in enumerate(names, start=1)]
    (folder / "annotations" / "list.txt").write_text("#Image CLASS-ID SPECIES BREED ID\n" + "\n".join(lines))
    (folder / "annotations" / "trainval.txt").write_text("\n".join(lines) + "\n")
    (folder / "annotations" / "test.txt").write_text("Abyssinian_2 1 1 1\n")
    found = open_dataset(tmp_path)
    for part, split in (("train", "trainval"), ("test", "test")):
        equal(found, part, torchvision.datasets.OxfordIIITPet(str(tmp_path), split=split))
    assert labels_of(found).classes == ("Abyssinian", "american bulldog", "Bengal")
