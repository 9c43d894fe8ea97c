"""Parquet files with the bytes of images, as Hugging Face's `datasets` and others write them."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets import parquet_images
from convolve.datasets.images import TakenImages
from convolve.datasets.layouts import open_dataset
from convolve.datasets.parquet_images import ParquetImages, read_shard
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, ImageError
from tests.datasets.ground_truths import labels_of
from tests.datasets.layouts.test_folders import put
from tests.datasets.layouts.test_table_kinds import labels_by_image

IMAGE = {"_type": "Image"}
CLASSES = {"names": ["dog", "cat"], "_type": "ClassLabel"}


def encoded(value: int) -> bytes:
    """A PNG of 2 x 2 pixels of that value."""
    buffer = io.BytesIO()
    Image.new("L", (2, 2), value).save(buffer, "PNG")
    return buffer.getvalue()


def images(values: Sequence[int], name: str = "{}.png") -> list[Any]:
    return [{"bytes": encoded(value), "path": name.format(value)} for value in values]


def write(root: Path, path: str, columns: dict[str, Any], features: Any = None, rows: int = 2) -> Path:
    """A file whose columns are lists of values, in groups of ``rows``."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table(columns)
    if features:
        told = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": told})
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, root / path, row_group_size=rows)
    return root


def hub(root: Path) -> Path:
    """A dataset as Hugging Face's hub has it."""
    features = {"image": IMAGE, "label": CLASSES}
    for path, values in (
        ("data/train-00000-of-00002-0a1b2c.parquet", range(3)),
        ("data/train-00001-of-00002-3d4e5f.parquet", range(3, 6)),
        ("data/test-00000-of-00001-6a7b8c.parquet", range(10, 15)),
    ):
        write(root, path, {"image": images(values), "label": [value % 2 for value in values]}, features)
    (root / "README.md").write_text("dataset_info:\n")
    return root


def test_a_dataset_of_the_hub(tmp_path: Path) -> None:
    data = open_dataset(hub(tmp_path))
    assert data.layout == "parquet"
    assert data.reason == (
        "data/test-00000-of-00001-6a7b8c.parquet and 2 other Parquet files with images in the column image and labels "
        "in label"
    )
    assert labels_of(data).classes == ("dog", "cat")
    wanted = {f"{value}.png": ["cat" if value % 2 else "dog"] for value in (*range(10, 15), *range(6))}
    assert labels_by_image(data) == wanted
    assert [int(data.images.read(index)[0, 0, 0]) for index in range(len(data))] == [*range(10, 15), *range(6)]
    splits = {split: [data.images.name(index) for index in indices] for split, indices in data.given_splits.items()}
    assert splits == {
        "train": [f"{value}.png" for value in range(6)],
        "test": [f"{value}.png" for value in range(10, 15)],
    }
    assert data.notes == ()
    assert len(open_dataset(tmp_path / "data" / "train-00000-of-00002-0a1b2c.parquet")) == 3


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    (hub(tmp_path) / "data" / "train-00001-of-00002-3d4e5f.parquet").unlink()
    put(tmp_path, "example.png")
    assert open_dataset(tmp_path).notes == (
        "only 1 of the 2 files data/train-*.parquet are there",
        "left out: 1 image files beside the Parquet files, such as example.png",
    )


def test_the_folders_of_a_conversion(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        columns = {"img": images(range(4), "a.png"), "fine_label": [0, 1, 1, 0], "coarse_label": [0, 0, 0, 0]}
        write(tmp_path, f"default/{split}/0000.parquet", columns, {"img": IMAGE, "fine_label": CLASSES})
    data = open_dataset(tmp_path)
    assert {split: indices.tolist() for split, indices in data.given_splits.items()} == {
        "train": [0, 1, 2, 3],
        "validation": [4, 5, 6, 7],
    }
    assert data.images.name(5) == "validation/0000.parquet#1"
    assert data.notes == ("columns not used: coarse_label",)
    write(tmp_path, "other/train/0000.parquet", {"img": images([1]), "fine_label": [0]})
    with pytest.raises(DataError, match=r"holds 2 datasets of Parquet files; give the one that you want: .*default, "):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("labels", "feature", "classes", "wanted"),
    [
        (["b", "a", "b", None], None, ("a", "b"), [["b"], ["a"], ["b"]]),
        ([7.0, 11.0, float("nan"), 7.0], None, ("7", "11"), [["7"], ["11"], ["7"]]),
        ([0, 1, -1, 1], CLASSES, ("dog", "cat"), [["dog"], ["cat"], ["cat"]]),
        ([[0, 1], [1], [], [0]], {"_type": "Sequence", "feature": CLASSES}, ("dog", "cat"), [["dog", "cat"], ["cat"],
         [], ["dog"]]),
        ([[0], [1], [1], [0]], [CLASSES], ("dog", "cat"), [["dog"], ["cat"], ["cat"], ["dog"]]),
        ([["x"], ["y", "x"], ["y"], []], None, ("x", "y"), [["x"], ["x", "y"], ["y"], []]),
        ([True, False, True, False], None, ("False", "True"), [["True"], ["False"], ["True"], ["False"]]),
    ],
)  # fmt: skip
def test_labels(tmp_path: Path, labels: list[Any], feature: Any, classes: tuple[str, ...], wanted: Any) -> None:
    features = {"image": IMAGE, "label": feature} if feature else None
    data = open_dataset(write(tmp_path, "train.parquet", {"image": images(range(4)), "label": labels}, features))
    assert labels_of(data).classes == classes
    assert list(labels_by_image(data).values()) == wanted
    assert data.notes == (() if len(wanted) == 4 else ("left out: 1 images without a label",))
    assert len(data.images) == len(wanted)


def test_bytes_without_a_structure(tmp_path: Path) -> None:
    columns = {"id": ["u", "v"], "content": [encoded(1), encoded(2)], "hash": [b"12", b"34"], "class": ["a", "b"]}
    data = open_dataset(write(tmp_path, "photos.parquet", columns))
    assert labels_by_image(data) == {"photos.parquet#0": ["a"], "photos.parquet#1": ["b"]}
    assert data.notes == ("columns not used: id, hash",)
    chosen = open_dataset(tmp_path, ReadingOptions(layout="parquet", image_column="content", label_column="id"))
    assert labels_of(chosen).classes == ("u", "v")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"url": ["a", "b"], "label": [0, 1]}, "has no column with the bytes of image files; it has url, label"),
        ({"image": [b"ab", b"cd"], "label": [0, 1]}, "has no column with the bytes of image files"),
        ({"left": images([1, 2]), "right": images([1, 2]), "label": [0, 1]}, "has images in the columns left, right"),
        ({"image": images([1, 2]), "mask": images([1, 2])}, "not certain which column .* it has image, mask"),
        ({"image": images([1, 2]), "x": [0, 1], "y": [0, 1]}, "not certain which column .* it has image, x, y"),
        ({"image": images([1, 2]), "text": ["a", "b"]}, "each image a label of its own in the column text"),
        ({"image": images([1, 2]), "label": [0.5, 1]}, r"In the column label of x\.parquet .* A label is 0\.5"),
        ({"image": images([1, 2]), "label": [-1, -1]}, "gives no image a label in the column label"),
    ],
)
def test_what_is_refused(tmp_path: Path, columns: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        open_dataset(write(tmp_path, "x.parquet", columns))


def test_a_file_without_images_beside_others(tmp_path: Path) -> None:
    write(tmp_path, "embeddings.parquet", {"x": [0.5, 1.5]})
    data = open_dataset(write(tmp_path, "train.parquet", {"image": images([1, 2]), "label": [0, 1]}))
    assert len(data) == 2
    assert data.notes == ("embeddings.parquet was not taken: it has no column with the bytes of image files",)


def test_a_label_that_is_not_declared(tmp_path: Path) -> None:
    columns = {"image": images([1, 2]), "label": [0, 2]}
    with pytest.raises(DataError, match="A label of 2 is outside of the 2 classes that are declared"):
        open_dataset(write(tmp_path, "x.parquet", columns, {"image": IMAGE, "label": CLASSES}))


def test_files_of_two_kinds(tmp_path: Path) -> None:
    write(tmp_path, "train.parquet", {"image": images([1, 2]), "label": [0, 1]}, {"image": IMAGE, "label": CLASSES})
    write(tmp_path, "test.parquet", {"image": images([1, 2]), "label": ["a", "b"]})
    with pytest.raises(DataError, match=r"test\.parquet and .*train\.parquet have different columns or classes"):
        open_dataset(tmp_path)


def test_damaged_files_and_pointers(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for content in (b"PAR1 and nothing else PAR1", b"PAR1 and nothing else"):
        (tmp_path / "train.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"train\.parquet cannot be read as Parquet \([^.]*; copy it again\)"):
            open_dataset(tmp_path)
    (tmp_path / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(DataError, match=r"it is a pointer of Git LFS; run `git lfs pull`"):
        open_dataset(tmp_path)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"train\.parquet needs pyarrow; run `pip install convolve\[parquet\]`\."):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="needs pyarrow"):
        open_dataset(tmp_path / "train.parquet")
    assert "needs pyarrow" in open_dataset(put(tmp_path, "a/1.png", "b/2.png")).notes[0]


def test_groups_are_read_when_an_image_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_dataset(hub(tmp_path))
    assert isinstance(data.images, TakenImages)
    read: list[int] = []
    real = parquet_images._read_group

    def count(root: Path, shard: Any, group: int) -> Any:
        read.append(group)
        return real(root, shard, group)

    monkeypatch.setattr(parquet_images, "_read_group", count)
    assert data.images.read(0)[0, 0, 0] == 10
    assert data.images.read(1)[0, 0, 0] == 11
    assert read == [0]
    held = data.images.images
    assert isinstance(held, ParquetImages)
    most = max(max(shard.sizes) for shard in held.shards)
    monkeypatch.setattr(parquet_images, "KEPT_BYTES", 4 * most)
    order = [*range(len(data)), 0]
    assert [data.images.read(index)[0, 0, 0] for index in order] == [*range(10, 15), *range(6), 10]
    assert read == [0, 1, 2, 0, 1, 0, 1, 0]
    assert held._unpacked == {}


@pytest.mark.parametrize("kept", [0, 2**27])
def test_rows_in_any_order_in_any_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(parquet_images, "KEPT_BYTES", kept)
    monkeypatch.setenv("CONVOLVE_CACHE", str(tmp_path / "cache"))
    values = [*images(range(6)), {"bytes": None, "path": "6.png"}, None]
    write(tmp_path, "x.parquet", {"image": values, "label": [0] * 8}, rows=3)
    shard = read_shard(tmp_path, "x.parquet", "image", structured=True)
    read = ParquetImages(tmp_path, (shard,), [f"{number}.png" for number in range(8)])
    order = np.random.default_rng(0).permutation(6)
    for some in (read, pickle.loads(pickle.dumps(read))):  # noqa: S301
        assert [int(some.read(index)[0, 0, 0]) for index in order] == order.tolist()
    for index in (6, 7):
        with pytest.raises(ImageError, match=rf"{index}\.png has no bytes in x\.parquet"):
            read.open(index)
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a process that was forked
    assert read.read(3)[0, 0, 0] == 3
    assert read._process == -1
