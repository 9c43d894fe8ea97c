"""Roboflow's exports for classification: folders of classes, or a table of 0 and 1 in the folder of each split."""

from __future__ import annotations

from pathlib import Path

from convolve.datasets.layouts import open_dataset
from tests.datasets.ground_truths import labels_of
from tests.datasets.layouts.test_folders import put
from tests.datasets.layouts.test_table_kinds import labels_by_image

SPLITS = {"train": "train", "valid": "validation", "test": "test"}
README = """
pets - v1 2023-01-01 1:00pm
==============================

This dataset was exported via roboflow.com on January 1, 2023 at 1:00 PM GMT

The dataset includes 12 images.
Pets are annotated in {} format.

The following pre-processing was applied to each image:
* Auto-orientation of pixel data (with EXIF-orientation stripping)
* Resize to 416x416 (Stretch)
"""


def write_texts(root: Path, form: str) -> None:
    (root / "README.roboflow.txt").write_text(README.format(form))
    (root / "README.dataset.txt").write_text(
        "# pets > 2023-01-01 1:00pm\nhttps://universe.roboflow.com/a/pets\n\nProvided by a Roboflow user\n"
        "License: CC BY 4.0\n"
    )


def name(split: str, number: int) -> str:
    return f"{split}/pet_{number}_jpg.rf.{number:032x}.jpg"


def test_folders(tmp_path: Path) -> None:
    write_texts(tmp_path, "folder")
    for split in SPLITS:
        put(tmp_path, *(name(f"{split}/{label}", number) for label in ("cat", "dog") for number in range(2)))
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).classes, data.notes) == ("folders", ("cat", "dog"), ())
    assert {split: len(indices) for split, indices in data.given_splits.items()} == dict.fromkeys(SPLITS.values(), 4)


def test_tables(tmp_path: Path) -> None:
    write_texts(tmp_path, "multi-class")
    for split in SPLITS:
        put(tmp_path, *(name(split, number) for number in range(4)))
        lines = [f"{name('', number)[1:]}, {number % 2}, {int(number != 1)}" for number in range(4)]
        (tmp_path / split / "_classes.csv").write_text("\n".join(["filename, cat, dog", *lines]))
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).multi_label) == ("table", True)
    assert labels_by_image(data)[name("valid", 1)] == ["cat"]
    assert labels_by_image(data)[name("test", 3)] == ["cat", "dog"]
    assert {split: len(indices) for split, indices in data.given_splits.items()} == dict.fromkeys(SPLITS.values(), 4)
