"""Which of several tables or annotation files a dataset is read from: the only one that says so, or those named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of
from tests.datasets.layouts import coco_documents, test_cvat, test_label_studio, test_via
from tests.datasets.layouts.annotated import make_images

NAMES = ("1.png", "2.png", "3.png")


def write(root: Path, layout: str, name: str, disc: str = "disc") -> str:
    """A file of a layout on the three images, of which two show an object of the class; its name."""
    make_images(root, *NAMES)
    if layout == "table":
        (root / name).write_text(f"path,label\n1.png,{disc}\n2.png,{disc}\n3.png,wall\n")
    elif layout == "coco":
        objects = [{"image_id": n, "category_id": 3, "segmentation": coco_documents.SQUARE} for n in (1, 2)]
        images = [{"id": n, "file_name": f"{n}.png", "height": 6, "width": 10} for n in (1, 2, 3)]
        content = {"images": images, "annotations": objects, "categories": [{"id": 3, "name": disc}]}
        (root / name).write_text(json.dumps(content))
    elif layout == "cvat":
        square = test_cvat.SQUARE.format(1).replace('"disc"', f'"{disc}"')
        test_cvat.write(root, *(test_cvat.image(f"{n}.png", square) for n in (1, 2)), name=name)
    elif layout == "via":
        regions = {str(n): [test_via.region(test_via.SQUARE, kind=disc)] for n in (1, 2)}
        (root / name).write_text(json.dumps(test_via.files(**regions)).replace(".jpg", ".png"))
    else:
        choice = test_label_studio.choice(disc)
        (root / name).write_text(json.dumps([test_label_studio.task(f"{n}.png", choice) for n in (1, 2)]))
    return name


def read(root: Path, *names: str) -> Dataset:
    return open_dataset(root, ReadingOptions(annotations=names))


FILES = [
    ("table", "labels.csv", "other.csv"),
    ("coco", "instances.json", "instances_new.json"),
    ("cvat", "annotations.xml", "other.xml"),
    ("via", "via.json", "other.json"),
    ("label-studio", "project-1.json", "project-2.json"),
]


@pytest.mark.parametrize(("layout", "first", "second"), FILES)
def test_a_file_that_is_named_is_the_one_that_is_read(layout: str, first: str, second: str, tmp_path: Path) -> None:
    write(tmp_path, layout, first)
    before = open_dataset(tmp_path)
    assert (before.layout, before.sources) == (layout, (first,))
    write(tmp_path, layout, second, disc="plate")
    with pytest.raises(DataError):
        open_dataset(tmp_path)
    for name, disc in ((first, "disc"), (second, "plate")):
        data = read(tmp_path, name)
        assert (data.layout, data.sources) == (layout, (name,))
        labels = labels_of(data)
        present = {name for name, count in zip(labels.classes, labels.presence().sum(0).tolist(), strict=True) if count}
        assert present - {"wall"} == {disc}
    (tmp_path / first).unlink()
    with pytest.raises(DataError, match=rf"has no {first}, from which it is to be read; restore it"):
        read(tmp_path, first)


def test_files_are_named_by_their_paths_below_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "archive", "table", "labels.csv")
    (tmp_path / "archive" / "other.csv").write_text("path,label\n1.png,a\n2.png,a\n3.png,b\n")
    assert labels_of(read(tmp_path, "archive/labels.csv")).classes == ("disc", "wall")
    with pytest.raises(DataError, match=r"has no own\.csv"):
        read(tmp_path, "own.csv")


def test_files_may_be_named_in_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "archive", "table", "labels.csv")
    for name in (str(tmp_path / "data" / "archive" / "labels.csv"), "./archive/labels.csv", "labels.csv"):
        assert read(tmp_path / "data", name).sources == ("labels.csv",)
    assert "labels.csv is read from archive/labels.csv" in read(tmp_path / "data", "labels.csv").notes
    monkeypatch.chdir(tmp_path)
    assert read(Path("data"), "data/archive/labels.csv").sources == ("labels.csv",)
    write(tmp_path / "data" / "other", "table", "labels.csv", disc="plate")
    with pytest.raises(DataError, match=r"several files called labels\.csv; choose one of archive/labels\.csv, other/"):
        read(tmp_path / "data", "labels.csv")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "--annotations names no file"),
        ("nonsense", r"has no nonsense, .*; restore it, or choose one of labels\.csv"),
        ("1.png", r"1\.png is no table or file of annotations in .*; choose one of labels\.csv"),
        ("/dev/null", r"/dev/null is no table or file of annotations in .*; choose one of labels\.csv"),
    ],
)
def test_other_names_are_refused(name: str, sentence: str, tmp_path: Path) -> None:
    write(tmp_path, "table", "labels.csv")
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, name)


@pytest.mark.parametrize(("layout", "first", "second"), FILES)
def test_one_file_has_no_files_of_annotations(layout: str, first: str, second: str, tmp_path: Path) -> None:
    write(tmp_path, layout, first)
    with pytest.raises(DataError, match=rf"{first} is one file, where --annotations says nothing"):
        read(tmp_path / first, second)


def test_files_of_annotations_say_nothing_of_folders(tmp_path: Path) -> None:
    make_images(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "notes.csv").write_text("who,when\nme,now\n")
    with pytest.raises(DataError, match=r"cannot be read as table or coco or cvat or via or label-studio"):
        read(tmp_path, "notes.csv")


@pytest.mark.parametrize(("layout", "first", "second"), FILES)
def test_a_copy_is_not_read(layout: str, first: str, second: str, tmp_path: Path) -> None:
    """As browsers call what is downloaded again, or under any other name."""
    write(tmp_path, layout, first)
    alone = open_dataset(tmp_path)
    stem, dot, suffix = first.rpartition(".")
    for copy in (f"{stem} (1){dot}{suffix}", f"{stem}_backup{dot}{suffix}"):
        (tmp_path / copy).write_bytes((tmp_path / first).read_bytes())
        data = open_dataset(tmp_path)
        assert (data.reason, data.sources, len(data)) == (alone.reason, (first,), len(alone))
        assert f"{copy} is a copy of {first} and is not read" in data.notes
        (tmp_path / copy).unlink()


def test_tables_that_say_the_same_in_other_forms_are_copies(tmp_path: Path) -> None:
    table = tmp_path / write(tmp_path, "table", "labels.csv")
    (tmp_path / "labels_new.tsv").write_text(table.read_text().replace(",", "\t"))
    assert "labels_new.tsv is a copy of labels.csv and is not read" in open_dataset(tmp_path).notes


def test_a_copy_under_the_name_of_another_split_is_none(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        write(tmp_path, "table", name)
    data = open_dataset(tmp_path)
    assert {word: len(part) for word, part in data.given_splits.items()} == {"train": 3, "test": 3}
