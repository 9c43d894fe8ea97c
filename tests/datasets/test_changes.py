"""Which files of a dataset have changed since it was opened."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.changes import FileStamps
from convolve.datasets.layouts import open_dataset
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders


def test_images_that_are_changed_touched_or_gone(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 3, "b": 3})
    stamps = FileStamps(open_dataset(str(data)))
    assert len(stamps) == 6
    assert stamps.changed() == []
    (data / "a" / "more.png").write_bytes(b"")
    assert stamps.changed() == []
    first, second, third = (data / "b" / f"{index}.png" for index in range(3))
    status = first.stat()
    first.write_bytes(first.read_bytes() + b"1")
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(second, ns=(0, 0))
    third.unlink()
    assert stamps.changed() == [str(first), str(second), str(third)]


def test_masks(tmp_path: Path) -> None:
    dataset = open_dataset(str(folder(tmp_path / "data", 6)))
    stamps = FileStamps(dataset)
    assert len(stamps) == 12
    mask = Path(dataset.root, dataset.annotations[2])
    shutil.copy(dataset.root / Path(dataset.annotations[3]), mask)
    assert stamps.changed() == [str(mask)]


def test_the_files_that_arrays_are_from(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, count in (("train", 20), ("t10k", 10)):
        header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (count, 8, 8))
        (data / f"{name}-images-idx3-ubyte").write_bytes(header + np.arange(count * 64, dtype=np.uint8).tobytes())
        labels = (np.arange(count) % 2).astype(np.uint8).tobytes()
        (data / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + labels)
    stamps = FileStamps(open_dataset(str(data)))
    path = data / "train-images-idx3-ubyte"
    assert stamps.changed() == []
    os.utime(path, ns=(0, 0))
    assert stamps.changed() == [str(path)]


def test_data_without_files_never_change() -> None:
    stamps = FileStamps(open_dataset("digits"))
    assert len(stamps) == 0
    assert stamps.changed() == []


@pytest.mark.parametrize("suffix", ["png", "parquet"])
def test_files_that_are_read_again_in_each_epoch(tmp_path: Path, suffix: str) -> None:
    data = folders(tmp_path / "data", {"a": 3, "b": 3})
    if suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        images = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(data.rglob("*.png"))]
        table = pyarrow.table({"image": images, "label": [0, 0, 0, 1, 1, 1]})
        data = tmp_path / "tables"
        data.mkdir()
        parquet.write_table(table, data / "train.parquet")
    dataset = open_dataset(str(data))
    stamps = FileStamps(dataset)
    (path,) = sorted(data.rglob(f"*.{suffix}"))[:1]
    os.utime(path, ns=(0, 0))
    assert stamps.changed() == [str(path)]
