"""The Oxford-IIIT pets cut to a list, and lists that are damaged (the official lists: tests/oracle)."""

from __future__ import annotations

from pathlib import Path

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError


def put(root: Path, *lines: str) -> Path:
    (root / "images").mkdir()
    (root / "annotations").mkdir()
    (root / "annotations" / "list.txt").write_text("#Image CLASS-ID\n" + "\n".join(lines))
    return root


def test_part_of_the_set(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "Bengal_3 6 1 2", "american_bulldog_10 2 2 1", "Bengal_4 6 1 2"))
    assert data.labels.classes == ("american bulldog", "Bengal")
    assert data.labels.values.tolist() == [1, 0, 1]
    assert data.images.name(1) == "images/american_bulldog_10.jpg"
    assert (data.given, data.layout) == ({}, "pets")


def test_a_damaged_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt has a line that is not 'name class species breed': 'Bengal_4'"):
        open_dataset(put(tmp_path, "Bengal_3 6 1 2", "Bengal_4"))


def test_another_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no dataset that is recognized"):
        open_dataset(put(tmp_path, "milk", "bread"))
