"""Files that name classes which are numbers or codes in the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of
from tests.datasets.layouts.test_folders import put
from tests.datasets.layouts.test_table_kinds import labels_by_image

NAMES = {"0": "dog", "1": "cat"}


def folders(root: Path, *classes: str) -> Path:
    return put(root, *(f"{name}/{number}.jpg" for name in classes for number in range(2)))


def write(root: Path, document: Any, file: str = "class_indices.json") -> Path:
    (root / file).write_text(json.dumps(document))
    return root


@pytest.mark.parametrize(
    ("classes", "document", "file"),
    [
        (("0", "1"), {"0": "dog", "1": "cat", "2": "eel"}, "class_indices.json"),
        (("0", "1"), {"dog": 0, "cat": 1}, "class_to_idx.json"),
        (("0", "1"), {"dog": "0", "cat": "1"}, "label_map.json"),
        (("000", "001"), {"0": "dog", "1": "cat"}, "id2label.json"),
        (("0", "1"), {"id2label": {"0": "dog", "1": "cat"}, "label2id": {"dog": 0, "cat": 1}}, "labels.json"),
        (("0", "1"), ["dog", "cat"], "classes.json"),
        (("21", "3"), {"21": "dog", "3": "cat"}, "cat_to_name.json"),
        (("n02085620", "n02123045"), {"0": ["n02085620", "dog"], "1": ["n02123045", "cat"]}, "imagenet_index.json"),
        (("n02085620", "n02123045"), {"n02085620": "dog", "n02123045": "cat"}, "Labels.json"),
    ],
)
def test_folders_of_codes(tmp_path: Path, classes: tuple[str, str], document: Any, file: str) -> None:
    data = open_dataset(write(folders(tmp_path, *classes), document, file))
    assert labels_of(data).classes == ("cat", "dog")
    wanted = {f"{code}/{number}.jpg": [name] for code, name in zip(classes, ("dog", "cat"), strict=True)
              for number in range(2)}  # fmt: skip
    assert labels_by_image(data) == wanted
    assert len(data.notes) == 1
    assert data.notes[0].startswith(f"{file} names the classes: ")


def test_splits_and_a_file_in_one_of_them(tmp_path: Path) -> None:
    put(tmp_path, *(f"{split}/{code}/{split}.jpg" for split in ("train", "val") for code in "01"))
    data = open_dataset(write(tmp_path, NAMES, "train/class_indices.json"))
    assert labels_by_image(data)["val/0/val.jpg"] == ["dog"]


def test_a_file_above_the_only_folder(tmp_path: Path) -> None:
    put(tmp_path / "flowers", *(f"{split}/{code}/{split}.jpg" for split in ("train", "valid") for code in "12"))
    data = open_dataset(write(tmp_path, {"1": "pink primrose", "2": "orchid"}, "cat_to_name.json"))
    assert labels_of(data).classes == ("orchid", "pink primrose")


def test_a_table_of_numbers(tmp_path: Path) -> None:
    put(tmp_path, *(f"{number}.jpg" for number in range(4)))
    (tmp_path / "labels.csv").write_text("path,label\n0.jpg,0\n1.jpg,1\n2.jpg,0\n3.jpg,1\n")
    assert labels_by_image(open_dataset(write(tmp_path, NAMES)))["2.jpg"] == ["dog"]


@pytest.mark.parametrize(
    ("classes", "document"),
    [
        (("cat", "dog"), {"cat": 1, "dog": 0}),
        (("cat", "dog"), {"cat": "a small animal", "dog": "another one"}),
        (("0", "1", "2", "10"), {"0": 0, "1": 1, "10": 2, "2": 3}),
        (("0", "1"), {"0": "1", "1": "0"}),
        (("0", "1"), ["0.jpg", "1.jpg"]),
        (("0", "1"), ["cat", "cat", "dog", "cat"]),
        (("0", "1"), {"0": {"x": 1}, "1": {"x": 2}}),
        (("0", "1"), {"0": "dog", "1": "cat", "scores": [0.5, 0.5]}),
        (("0", "1"), {"0": "dog", "1": "cat", "01": "eel"}),
        (("c0", "c1"), {"c0": 0, "c1": 1}),
        (("0", "1"), 7),
        (("0", "1"), {}),
    ],
)
def test_what_names_no_codes(tmp_path: Path, classes: tuple[str, ...], document: Any) -> None:
    data = open_dataset(write(folders(tmp_path, *classes), document))
    assert labels_of(data).classes == classes
    assert data.notes == ()


def test_what_is_not_taken_is_said(tmp_path: Path) -> None:
    write(folders(tmp_path, "1", "2", "3"), ["cat", "dog", "eel"])
    (tmp_path / "index.json").write_text("{")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("1", "2", "3")
    assert data.notes[0] == "class_indices.json was not taken: it has no name for the class 3"
    assert "index.json cannot be read as JSON" in data.notes[1]


def test_files_that_differ(tmp_path: Path) -> None:
    write(write(folders(tmp_path, "0", "1"), NAMES), {"cat": 0, "dog": 1}, "class_to_idx.json")
    with pytest.raises(DataError, match=r"class_indices\.json and class_to_idx\.json in .* name classes differently"):
        open_dataset(tmp_path)


def test_classes_of_one_name_stay_apart(tmp_path: Path) -> None:
    names = {str(number): f"bird {number}" for number in range(20)} | {"3": "crane", "7": "crane"}
    data = open_dataset(write(folders(tmp_path, "3", "7"), names))
    assert labels_of(data).classes == ("crane (3)", "crane (7)")
