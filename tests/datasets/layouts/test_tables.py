"""CSV, TSV and plain text with an image and its labels on each line."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, ImageError
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of, masks_of


def put(root: Path, table: str, text: str, *images: str) -> Path:
    for name in images or ("a.jpg", "b.jpg", "c.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(root / name)
    (root / table).write_text(text, encoding="utf-8")
    return root


def pairs(data: Dataset) -> list[tuple[str, str]]:
    return [
        (data.images.name(index), labels_of(data).classes[label]) for index, label in enumerate(labels_of(data).values)
    ]


WANTED = [("a.jpg", "cat"), ("b.jpg", "dog"), ("c.jpg", "cat")]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("labels.csv", "path,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n"),
        ("labels.csv", "a.jpg,cat\r\nb.jpg,dog\r\n\r\nc.jpg,cat"),
        ("labels.csv", "\ufeffClass,Other,Filename\ncat,1,a.jpg\ndog,2,b.jpg\ncat,3,c.jpg\n"),
        ("labels.csv", "bild;art\na.jpg;cat\nb.jpg;dog\nc.jpg;cat\n"),
        ("labels.csv", "id,breed\na,cat\nb,dog\nc,cat\n"),
        ("labels.tsv", "image\tlabel\na.jpg\tcat\nb.jpg\tdog\nc.jpg\tcat\n"),
        ("labels.txt", "a.jpg cat\nb.jpg dog\nc.jpg cat\n"),
        ("anything.csv", '"./a.jpg", cat\n"b.jpg", dog\nc.jpg, cat\n'),
    ],
)
def test_single_labels(tmp_path: Path, table: str, text: str) -> None:
    put(tmp_path, table, text)
    for path in (tmp_path, tmp_path / table):
        data = open_dataset(path)
        assert pairs(data) == WANTED
        assert (data.layout, data.reason, data.given_splits) == ("table", f"the table {table}", {})


def test_images_are_found_below_by_path_name_or_stem(tmp_path: Path) -> None:
    text = "path,label\nimages/x/a.jpg,1\nb.jpg,2\nc,10\nimages\\d.jpg,2\n"
    put(tmp_path, "labels.csv", text, "images/x/a.jpg", "images/b.jpg", "images/y/c.jpg", "images/d.jpg")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("1", "2", "10")
    assert [data.images.name(index) for index in range(4)] == [
        "images/x/a.jpg",
        "images/b.jpg",
        "images/y/c.jpg",
        "images/d.jpg",
    ]


def test_paths_outside_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "x.txt", "", "images/a.jpg", "images/b.jpg")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "all.csv").write_text(f"path,label\n../images/a.jpg,cat\n{tmp_path}/images/b.jpg,dog\n")
    data = open_dataset(tmp_path / "lists" / "all.csv")
    assert [data.images.read(index).shape for index in range(2)] == [(4, 4, 1)] * 2


def test_splits_in_a_column(tmp_path: Path) -> None:
    for header in ("path,label,split\n", ""):
        data = open_dataset(put(tmp_path, "labels.csv", f"{header}a.jpg,cat,train\nb.jpg,dog,VAL\nc.jpg,cat,test\n"))
        assert {name: part.tolist() for name, part in data.given_splits.items()} == {
            "train": [0],
            "validation": [1],
            "test": [2],
        }
        assert pairs(data) == WANTED


def test_splits_in_files(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", "a.jpg,cat\nb.jpg,dog\n")
    put(tmp_path, "test_labels.csv", "path,label\nc.jpg,cat\n")
    data = open_dataset(tmp_path)
    assert {name: part.tolist() for name, part in data.given_splits.items()} == {"test": [0], "train": [1, 2]}


@pytest.mark.parametrize("cell", ["red;round", "red|round", '"red,round"', "red ; round"])
def test_several_labels(tmp_path: Path, cell: str) -> None:
    data = open_dataset(put(tmp_path, "labels.csv", f"path,labels\na.jpg,{cell}\nb.jpg,red\nc.jpg,\n"))
    assert labels_of(data).multi_label
    assert labels_of(data).classes == ("red", "round")
    assert labels_of(data).values.tolist() == [[1, 1], [1, 0], [0, 0]]


def test_a_comma_before_a_space_belongs_to_the_name(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "labels.csv", 'a.jpg,"cat, Persian"\nb.jpg,dog\n'))
    assert labels_of(data).classes == ("cat, Persian", "dog")


def test_a_missing_image_fails_when_it_is_read(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "labels.csv", "a.jpg,cat\ngone.jpg,dog\nb.jpg,dog\n"))
    assert data.reason == "the table labels.csv"
    assert "labels.csv names 1 image, missing: gone.jpg" in data.notes
    with pytest.raises(ImageError, match=r"gone\.jpg cannot be opened"):
        data.images.read(1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x.jpg,cat\ny.jpg,dog\n", r"names images that are not in .*: x\.jpg, y\.jpg; correct the paths"),
        ("path,label,split\na.jpg,cat,later\n", "puts a.jpg into a split called 'later'; write train, val or test"),
        ("path,label\na.jpg,cat\nb.jpg\n", "a line with too few columns: b.jpg"),
        ("path,label\na.jpg,cat\nb.jpg,tench, Tinca\n", "a line with too many columns: b.jpg, tench, Tinca"),
        ("path,label\na.jpg,\nb.jpg,nan\n", "gives no image a label"),
        ("path,label\n", "has no line below its header"),
        (
            'path,label\na.jpg,"cat\nb.jpg,dog\n',
            r"cannot be read as a table \(line 4: .*; correct that line, or close its",
        ),
        ("path,label\na.jpg,cat\n,dog\n", "has a line that names no image: , dog"),
        ("path,x,y\na.jpg,1,2\n", "has no column called label or class; it has path, x, y"),
        ("a.jpg,1,2\n", "has 3 columns and no header"),
        ("a.jpg,b.jpg\n", "pairs images with images"),
        ("", "has no two columns"),
        ("alone\n", "has no two columns"),
    ],
)
def test_tables_that_cannot_be_understood(tmp_path: Path, text: str, sentence: str) -> None:
    put(tmp_path, "labels.csv", text)
    with pytest.raises(DataError, match=sentence):
        open_dataset(tmp_path / "labels.csv")


def test_other_texts_beside_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "labels.csv", "a.jpg,cat\nb.jpg,dog\nc.jpg,cat\n")
    (tmp_path / "README.txt").write_text("These are photographs, of animals.\n")
    (tmp_path / "points.csv").write_text("name,x,y\na.jpg,1,2\n")
    assert pairs(open_dataset(tmp_path)) == WANTED


def test_two_tables_must_be_told_apart(tmp_path: Path) -> None:
    put(tmp_path, "old.csv", "a.jpg,cat\nb.jpg,dog\n")
    put(tmp_path, "new.csv", "a.jpg,dog\nb.jpg,cat\n")
    with pytest.raises(DataError, match=r"holds 2 tables of images; give the one that you want: .*new\.csv.*old\.csv"):
        open_dataset(tmp_path)


def test_images_of_one_name_are_told_apart_by_their_path(tmp_path: Path) -> None:
    put(tmp_path, "labels.csv", "path,label\nx/a.jpg,1\ny/a.jpg,2\n", "x/a.jpg", "y/a.jpg")
    assert pairs(open_dataset(tmp_path)) == [("x/a.jpg", "1"), ("y/a.jpg", "2")]


def photograph(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)).save(path)


def labeled_with_masks(root: Path) -> Path:
    """Three labeled images, of which the last two have masks of the classes 0 and 1."""
    for number in range(3):
        photograph(root / "images" / f"{number}.png", number)
    (root / "masks").mkdir()
    for number in (1, 2):
        Image.fromarray(np.full((6, 8), number - 1, np.uint8)).save(root / "masks" / f"{number}.png")
    (root / "labels.csv").write_text("path,label\nimages/2.png,cat\nimages/1.png,dog\nimages/0.png,cat\n")
    return root


def test_masks_of_the_same_images_are_joined(tmp_path: Path) -> None:
    data = open_dataset(labeled_with_masks(tmp_path))
    assert pairs(data) == [("images/2.png", "cat"), ("images/1.png", "dog"), ("images/0.png", "cat")]
    masks = masks_of(data)
    assert masks.covers.tolist() == [True, True, False]
    assert [int(masks.read(index).max()) for index in (0, 1)] == [1, 0]
    assert data.layout == "table"
    assert "masks of 2 of its images: 2 images with masks of the same names" in data.reason
    part = data.for_ground_truth("masks")
    assert pairs(part) == [("images/2.png", "cat"), ("images/1.png", "dog")]


def test_masks_that_cannot_be_used_do_not_cost_the_labels(tmp_path: Path) -> None:
    for path in (labeled_with_masks(tmp_path) / "masks").iterdir():
        path.write_text("not an image")
    data = open_dataset(tmp_path)
    assert list(data.ground_truths) == ["labels"]
    assert any("masks was not taken: None of the 2 masks can be read" in note for note in data.notes)
    with pytest.raises(DataError, match=r"has no masks, only labels .*None of the 2 masks can be read"):
        data.for_ground_truth("masks")


def test_what_has_a_label_is_no_mask(tmp_path: Path) -> None:
    for number in range(3):
        photograph(tmp_path / f"{number}.png", number)
        Image.fromarray(np.full((6, 8), number % 2, np.uint8)).save(tmp_path / f"{number}_l.png")
    rows = [f"{number}{suffix}.png,{number}" for number in range(3) for suffix in ("", "_l")]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows))
    data = open_dataset(tmp_path)
    assert (len(data), list(data.ground_truths)) == (6, ["labels"])


@pytest.mark.parametrize(("table", "mark"), [("labels.csv", ","), ("labels.csv", ";"), ("labels.txt", " ")])
def test_a_table_of_a_million_columns_is_refused_at_once(table: str, mark: str, tmp_path: Path) -> None:
    rows = [mark.join([name, *["0", "1"] * 500_000]) for name in ("a.jpg", "b.jpg", "c.jpg")]
    put(tmp_path, table, "\n".join(rows))
    start = time.process_time()
    with pytest.raises(DataError, match="line 1: it has 1,000,001 cells, more than the 10,000 that are read"):
        open_dataset(tmp_path / table)
    assert time.process_time() - start < 3


def test_values_without_an_end_lose_their_middle_in_errors_and_notes(tmp_path: Path) -> None:
    long = "x" * 10**6
    put(tmp_path, "labels.csv", f"path,label\na.jpg,cat\nb.jpg,dog\n{long}\n")
    with pytest.raises(DataError, match="has a line with too few columns: xxx") as caught:
        open_dataset(tmp_path / "labels.csv")
    assert max(map(len, map(str, caught.value.args))) < 1000
    put(tmp_path, "labels.csv", f"path,label\na.jpg,cat\nb.jpg,dog\nc.jpg,cat\n{long}.jpg,dog\n")
    data = open_dataset(tmp_path / "labels.csv")
    assert any("x … x" in note for note in data.notes)
    assert max(map(len, data.notes)) < 1000
