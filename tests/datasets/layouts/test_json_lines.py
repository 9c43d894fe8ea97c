"""JSON Lines, as Hugging Face's `ImageFolder` has them: `metadata.jsonl` next to the images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.layouts.test_folders import put
from tests.datasets.layouts.test_table_kinds import labels_by_image, read


def write(root: Path, entries: Sequence[dict[str, Any]], table: str = "metadata.jsonl") -> Path:
    """The table, with the images that it names next to it."""
    put((root / table).parent, *(entry["file_name"] for entry in entries))
    (root / table).write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return root


def entry(number: int, **values: Any) -> dict[str, Any]:
    return {"file_name": f"{number:04}.png", **values}


def test_a_table_in_the_folder_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        boxes = {"bbox": [[1, 2, 3, 4]], "categories": [0]}
        entries = [entry(number, label="cat" if number % 2 else "dog", objects=boxes) for number in range(4)]
        write(tmp_path, entries, f"{split}/metadata.jsonl")
    data = open_dataset(tmp_path)
    assert data.layout == "table"
    wanted = {f"{split}/{number:04}.png": ["cat" if number % 2 else "dog"] for split in ("train", "test")
              for number in range(4)}  # fmt: skip
    assert labels_by_image(data) == wanted
    assert {split: len(indices) for split, indices in data.given_splits.items()} == {"train": 4, "test": 4}
    assert data.notes[0] == ("test/metadata.jsonl: images by the column file_name, labels by label; not used: objects")


def test_one_table_of_images_in_the_folders_of_splits(tmp_path: Path) -> None:
    entries = [
        {"file_name": f"{split}/{number}.png", "label": number % 2} for split in ("train", "val") for number in range(4)
    ]
    write(tmp_path, entries)
    for data in (open_dataset(tmp_path), open_dataset(tmp_path / "metadata.jsonl")):
        assert labels_by_image(data)["val/1.png"] == ["1"]
        assert {split: len(indices) for split, indices in data.given_splits.items()} == {"train": 4, "validation": 4}


def test_tables_of_splits_with_other_columns(tmp_path: Path) -> None:
    write(tmp_path, [entry(number, label="ab"[number % 2]) for number in range(4)], "train/metadata.jsonl")
    write(tmp_path, [entry(number, id=number) for number in range(4)], "test/metadata.jsonl")
    with pytest.raises(DataError, match="the columns of labels differ"):
        open_dataset(tmp_path)


def test_several_labels_and_none(tmp_path: Path) -> None:
    entries = [entry(0, labels=["cat", "dog"]), entry(1, labels=["dog"]), entry(2, labels=[]), entry(3, size=7)]
    assert read(write(tmp_path, entries)) == {
        "0000.png": ["cat", "dog"],
        "0001.png": ["dog"],
        "0002.png": [],
        "0003.png": [],
    }


def test_blank_lines_and_marks_of_encodings(tmp_path: Path) -> None:
    table = write(tmp_path, [entry(0, label="고양이"), entry(1, label="개")]) / "metadata.jsonl"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert read(tmp_path) == {"0000.png": ["고양이"], "0001.png": ["개"]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '{"file_name": "0000.png", "label": "a"}\n{"file_name": ',
            r"metadata\.jsonl cannot be read as JSON \(line 2:",
        ),
        ('{"file_name": "0000.png", "objects": {"bbox": []}}', r"only nested values to learn from \(objects\)"),
        ('{"file_name": "0000.png", "text": "a cat"}', "has a text on each image in the column text and no labels"),
        ('{"file_name": "9.png", "label": "a"}', r"names images that are not in .*: 9\.png"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    put(tmp_path, "0000.png")
    (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(DataError, match=sentence):
        open_dataset(tmp_path)


def test_texts_next_to_folders_of_classes(tmp_path: Path) -> None:
    entries = [
        {"file_name": f"{name}/{number}.png", "text": f"{name} no. {number}"} for name in "ab" for number in range(6)
    ]
    data = open_dataset(write(tmp_path, entries))
    assert data.layout == "folders"
    assert "table was not taken" in data.notes[0]


def test_lines_about_something_else(tmp_path: Path) -> None:
    put(tmp_path, "a/0.png", "b/1.png")
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n')
    (tmp_path / "list.jsonl").write_text("[1, 2]\n")
    assert open_dataset(tmp_path).notes == ()
