"""MATLAB labels that are damaged or partly there (whole sets: tests/oracle)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat  # type: ignore[import-untyped]

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of


def test_one_part_of_svhn(tmp_path: Path) -> None:
    savemat(tmp_path / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[10], [3]])})
    data = open_dataset(tmp_path)
    assert labels_of(data).values.tolist() == [0, 3]
    assert (data.images.name(1), data.given_splits) == ("test_32x32#1", {})


def test_flowers_without_their_division(tmp_path: Path) -> None:
    (tmp_path / "jpg").mkdir()
    savemat(tmp_path / "imagelabels.mat", {"labels": np.array([[1, 102]])})
    data = open_dataset(tmp_path)
    assert data.given_splits == {}
    assert labels_of(data).classes[labels_of(data).values[1]] == "blackberry lily"
    assert data.images.name(1) == "jpg/image_00002.jpg"


@pytest.mark.parametrize("content", [b"", b"damaged", bytes(400)])
def test_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "train_32x32.mat").write_bytes(content)
    with pytest.raises(DataError, match=r"train_32x32\.mat is damaged or lacks X, y .*copy it again"):
        open_dataset(tmp_path)


def test_another_variable(tmp_path: Path) -> None:
    savemat(tmp_path / "train_32x32.mat", {"other": [1]})
    with pytest.raises(DataError, match="lacks X, y"):
        open_dataset(tmp_path)
