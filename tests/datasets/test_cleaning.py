"""What `convolve data --fix` keeps, what it leaves out and why, and that the table is read as it was meant."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.cleaning import Cleaned, clean
from convolve.datasets.doctor import diagnose
from convolve.datasets.layouts import open_dataset
from convolve.datasets.survey import survey
from convolve.errors import ConvolveError, DataError
from convolve.values import Dataset
from tests.datasets.synthetic import REMEDY, random_image


def photo(path: Path, seed: int, brighter: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = random_image(48, 64, seed=seed).astype(int) + brighter
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def fix(path: Path, data: Path) -> Cleaned:
    dataset = open_dataset(data)
    labels = dataset.ground_truths["labels"]
    return clean(path, dataset, labels, diagnose(dataset, labels, None, survey(dataset.images, 1), REMEDY))


def rows(table: Path) -> dict[str, tuple[str, str]]:
    """The label and the split of each file by its name, as the table is read."""
    dataset = open_dataset(table)
    splits = {index: name for name, part in dataset.given_splits.items() for index in part.tolist()}
    return {name: (label, splits[index]) for index, (name, label) in enumerate(named(dataset))}


def named(dataset: Dataset) -> list[tuple[str, str]]:
    labels = dataset.ground_truths["labels"]
    joined = [" + ".join(np.array(labels.classes)[flags]) for flags in labels.presence()]
    return [(Path(dataset.images.name(index)).name, label) for index, label in enumerate(joined)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Cats and dogs in given splits, 12 of each and split."""
    for start, split in enumerate(("train", "val", "test")):
        for number in range(24):
            label, seed = ("cat", "dog")[number % 2], 24 * start + number
            photo(tmp_path / "pets" / split / label / f"{seed}.png", seed)
    return tmp_path / "pets"


def test_a_healthy_set_stays_as_it_is(data: Path, tmp_path: Path) -> None:
    cleaned = fix(tmp_path / "clean.csv", data)
    assert cleaned.images == {"train": 24, "validation": 24, "test": 24}
    assert cleaned.left_out == {}
    assert cleaned.origin == "as the dataset gives them"
    found = rows(tmp_path / "clean.csv")
    assert found["0.png"] == ("cat", "train")
    assert found["25.png"] == ("dog", "validation")
    assert found["71.png"] == ("dog", "test")


def test_of_copies_the_one_in_the_preferred_split_stays(data: Path, tmp_path: Path) -> None:
    for copy in ("train/cat/again.png", "val/cat/again in val.png"):
        shutil.copy(data / "test/cat/48.png", data / copy)
    shutil.copy(data / "val/dog/25.png", data / "train/dog/copy.png")
    shutil.copy(data / "train/dog/1.png", data / "train/dog/twin.png")
    cleaned = fix(tmp_path / "clean.csv", data)
    assert cleaned.left_out == {"exact copies of another": 4}
    found = rows(tmp_path / "clean.csv")
    assert (found["48.png"], found["25.png"]) == (("cat", "test"), ("dog", "validation"))
    assert sum(name in found for name in ("1.png", "twin.png")) == 1
    assert not {"again.png", "again in val.png", "copy.png"} & set(found)


def test_copies_with_different_labels_all_go(data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "test/cat/48.png", data / "train/dog/liar.png")
    cleaned = fix(tmp_path / "clean.csv", data)
    assert cleaned.left_out == {"exact copies with different labels": 2}
    assert not {"48.png", "liar.png"} & set(rows(tmp_path / "clean.csv"))


def test_near_duplicates_leave_the_splits_before(data: Path, tmp_path: Path) -> None:
    photo(data / "train/cat/brighter.png", 48, brighter=9)
    photo(data / "val/cat/bright.png", 48, brighter=6)
    photo(data / "test/cat/also.png", 48, brighter=3)
    cleaned = fix(tmp_path / "clean.csv", data)
    assert cleaned.left_out == {"near duplicates of one in a preferred split": 2}
    found = rows(tmp_path / "clean.csv")
    assert found["48.png"] == found["also.png"] == ("cat", "test")
    assert not {"brighter.png", "bright.png"} & set(found)


def test_what_cannot_be_read_and_what_is_in_no_split_is_left_out(data: Path, tmp_path: Path) -> None:
    (data / "train/cat/0.png").write_bytes(b"no image")
    lines = [
        f"{path.relative_to(tmp_path)},{path.parent.name},{path.parts[-3]}" for path in sorted(data.rglob("*.png"))
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,split", *lines]))
    dataset = open_dataset(tmp_path / "labels.csv")
    part = dataset.given_splits["train"][:-1]
    dataset = Dataset(
        dataset.root, "table", "", dataset.images, dataset.ground_truths, {**dataset.given_splits, "train": part}
    )
    labels = dataset.ground_truths["labels"]
    findings = diagnose(dataset, labels, None, survey(dataset.images, 1), REMEDY)
    cleaned = clean(tmp_path / "clean.csv", dataset, labels, findings)
    assert cleaned.left_out == {"unreadable": 1, "in none of the dataset's splits": 1}
    assert cleaned.images == {"train": 22, "validation": 24, "test": 24}


def test_new_splits_keep_near_duplicates_together(tmp_path: Path) -> None:
    for number in range(40):
        for brighter in range(0, 12, 3):
            photo(tmp_path / "pets" / "ab"[number % 2] / f"{number}-{brighter}.png", number, brighter)
    cleaned = fix(tmp_path / "clean.csv", tmp_path / "pets")
    found = rows(tmp_path / "clean.csv")
    assert len(found) == 160
    assert cleaned.left_out == {}
    assert cleaned.images == {"train": 104, "validation": 24, "test": 32}  # 15 % and 20 % of 40 groups of four
    splits = {(name.partition("-")[0], split) for name, (_, split) in found.items()}
    assert len(splits) == 40
    dataset = open_dataset(tmp_path / "clean.csv")
    again = diagnose(dataset, dataset.ground_truths["labels"], None, survey(dataset.images, 1), REMEDY)
    assert (again.near.groups, again.near.leaks) == (40, 0)


def test_several_labels_are_columns(tmp_path: Path) -> None:
    labels = ["red;round", "red", "", "round; blue"]
    lines = [f"{photo(tmp_path / f'{number}.png', number).name},{labels[number % 4]}" for number in range(60)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,labels", *lines]))
    fix(tmp_path / "clean.csv", tmp_path / "labels.csv")
    header = (tmp_path / "clean.csv").read_text().splitlines()[0]
    assert header == "cleaned_path,blue,red,round,split"
    found = {name: label for name, (label, _) in rows(tmp_path / "clean.csv").items()}
    assert found == dict(named(open_dataset(tmp_path / "labels.csv")))


def test_the_folder_is_not_touched_and_the_table_is_no_data(data: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    fix(tmp_path / "clean.csv", data)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
    fix(data / "clean.csv", data)
    dataset = open_dataset(data)
    assert (dataset.layout, len(dataset)) == ("folders", 72)
    assert (data / "clean.csv").read_text().splitlines()[1].startswith("train/cat/")
    moved = data.rename(tmp_path / "moved")
    assert len(open_dataset(moved / "clean.csv")) == 72
    fix(moved / "clean.csv", moved / "clean.csv")
    assert len(open_dataset(moved / "clean.csv")) == 72


def test_paths_outside_of_the_tables_folder_are_absolute(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    fix(Path("elsewhere/clean.csv"), Path("pets"))
    assert (tmp_path / "elsewhere/clean.csv").read_text().splitlines()[1].startswith(f"{data}{os.sep}")
    assert len(open_dataset("elsewhere/clean.csv")) == 72


@pytest.mark.parametrize("text", ["file,label\n1.png,cat\n", "", "cleaned_paths,label\n"])
def test_a_file_of_other_origin_is_never_overwritten(data: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(DataError, match=r"mine\.csv exists, and is no table that --fix wrote"):
        fix(tmp_path / "mine.csv", data)
    assert (tmp_path / "mine.csv").read_text() == text


def test_another_name_than_csv_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"clean\.json must be called \.csv"):
        fix(tmp_path / "clean.json", data)


def test_images_in_memory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not lie in a file each"):
        fix(tmp_path / "clean.csv", Path("digits"))


@pytest.mark.parametrize("name", ["a, b;c", "nan", "cat.png"])
def test_what_a_table_cannot_hold_is_refused(data: Path, tmp_path: Path, name: str) -> None:
    for split in ("train", "val", "test"):
        (data / split / "cat").rename(data / split / name)
    with pytest.raises(DataError, match=r"clean\.csv was not written"):
        fix(tmp_path / "clean.csv", data)
    assert not (tmp_path / "clean.csv").exists()


def test_a_full_disk_leaves_the_old_table(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fix(tmp_path / "clean.csv", data)
    before = (tmp_path / "clean.csv").read_text()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ConvolveError, match=r"clean\.csv cannot be written \(No space left on device\)"):
        fix(tmp_path / "clean.csv", data)
    assert (tmp_path / "clean.csv").read_text() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_lost_class_is_named(data: Path, tmp_path: Path) -> None:
    photo(data / "train/bird/1.png", 500)
    shutil.copy(data / "train/bird/1.png", data / "train/dog/bird.png")
    cleaned = fix(tmp_path / "clean.csv", data)
    assert cleaned.lost_classes == ("bird",)
