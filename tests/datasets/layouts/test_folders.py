"""A folder per class, flat or divided."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.parts import split_word
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of


def put(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".jpg", ".png"):
            Image.new("L", (4, 4)).save(path)
        elif path.suffix:
            path.write_text("text")
        else:
            path.mkdir()
    return root


def test_flat(tmp_path: Path) -> None:
    put(tmp_path, "10/b.jpg", "2/10.png", "2/9.png", "2/deeper/still/1.PNG.png", "1/a.jpg")
    put(tmp_path, "1/notes.txt", "1/.hidden.jpg", ".git/a.jpg", "__MACOSX/a.jpg", "documents/read.md", "top.jpg")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("1", "2", "10")
    names = [data.images.name(index) for index in range(len(data))]
    assert names == ["1/a.jpg", "2/9.png", "2/10.png", "2/deeper/still/1.PNG.png", "10/b.jpg"]
    assert labels_of(data).values.tolist() == [0, 1, 1, 1, 2]
    assert (data.layout, data.reason, data.given_splits) == ("folders", "a folder for each of 3 classes", {})
    assert data.images.read(4).shape == (4, 4, 1)


def test_empty_class_is_kept(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "cat/1.jpg", "dog/1.jpg", "emu"))
    assert labels_of(data).classes == ("cat", "dog", "emu")
    assert labels_of(data).counts().tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    "words",
    [
        ("train", "val", "test"),
        ("Training", "valid", "testing"),
        ("TRAIN", "dev", "Test"),
        ("train2017", "val2017", "test1"),
    ],
)
def test_divided(tmp_path: Path, words: tuple[str, str, str]) -> None:
    train, validation, test = words
    put(tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/1.jpg", f"{validation}/dog/2.jpg", f"{test}/emu/3.jpg")
    put(tmp_path, "extra/cat/9.jpg", f"{train}/loose.jpg")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog", "emu")
    given = {word: [data.images.name(index) for index in indices] for word, indices in data.given_splits.items()}
    assert given == {
        "train": [f"{train}/cat/1.jpg", f"{train}/dog/1.jpg"],
        "validation": [f"{validation}/dog/2.jpg"],
        "test": [f"{test}/emu/3.jpg"],
    }
    assert data.reason == f"{train}/, {validation}/, {test}/ with a folder per class"


def test_one_part_alone_is_no_division(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg"))
    assert data.given_splits == {}
    assert data.reason == "train/ with a folder per class; only its train part is there"


def test_a_class_called_test_among_others(tmp_path: Path) -> None:
    assert labels_of(open_dataset(put(tmp_path, "test/1.jpg", "match/1.jpg"))).classes == ("match", "test")


def test_the_only_folder_inside_is_looked_into(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "flowers-1.0/photos/rose/1.jpg", "flowers-1.0/photos/tulip/1.jpg", "LICENSE.txt"))
    assert labels_of(data).classes == ("rose", "tulip")
    assert data.root == str(tmp_path / "flowers-1.0" / "photos")


def test_one_name_in_two_forms_of_unicode_is_one_class(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "고양이")
    data = open_dataset(put(tmp_path, f"train/{apart}/1.jpg", "train/개/1.jpg", "test/고양이/1.jpg"))
    assert labels_of(data).classes == ("개", "고양이")
    assert [data.images.read(index).shape for index in range(3)] == [(4, 4, 1)] * 3


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "emu").symlink_to(tmp_path / "dog")
    assert labels_of(open_dataset(tmp_path)).classes == ("cat", "dog", "emu")


@pytest.mark.parametrize(
    "names",
    [
        ("1.jpg", "2.jpg"),
        ("images/1.jpg", "labels/2.png"),
        ("image/1.jpg", "mask/2.png"),
        ("one/train/cat/1.jpg", "two/train/cat/1.jpg"),
        ("empty",),
    ],
)
def test_what_is_no_folder_per_class(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(put(tmp_path, *names))


@pytest.mark.parametrize(
    "names", [("train/1.jpg", "val/1.jpg", "trainannot/2.png"), ("training_set/1.jpg", "test_set/1.jpg")]
)
def test_splits_without_classes_are_no_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="are called as splits, but hold no folder for each class"):
        open_dataset(put(tmp_path, *names))


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set/training_set", "test_set/test_set"), ("seg_train/seg_train", "seg_test/seg_test"),
     ("train_images", "test_images"), ("01_train", "02-test"), ("a train", "a test"), ("train (1)", "test")],
)  # fmt: skip
def test_splits_by_a_word_of_the_name(tmp_path: Path, train: str, test: str) -> None:
    put(tmp_path, *(f"{folder}/{name}/1.jpg" for folder in (train, test) for name in ("cat", "dog")), "seg_pred/9.jpg")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog")
    given = {word: [data.images.name(index) for index in indices] for word, indices in data.given_splits.items()}
    assert given == {word: [f"{folder}/{name}/1.jpg" for name in ("cat", "dog")] for word, folder in
                     (("train", train), ("test", test))}  # fmt: skip
    assert data.notes == ("1 of 5 images left out, such as seg_pred/9.jpg",)


def test_classes_called_as_splits_are(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "test_tubes/1.jpg", "training_shoes/1.jpg", "validators/1.jpg"))
    assert labels_of(data).classes == ("test_tubes", "training_shoes", "validators")
    (tmp_path / "trains").mkdir()
    data = open_dataset(put(tmp_path / "trains", "train/1.jpg", "bus/1.jpg"))
    assert labels_of(data).classes == ("bus", "train")


def test_splits_inside_of_classes(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "cat/train/1.jpg", "dog/train/1.jpg", "dog/test/2.jpg"))
    assert labels_of(data).classes == ("cat", "dog")
    given = {word: [data.images.name(index) for index in indices] for word, indices in data.given_splits.items()}
    assert given == {"train": ["cat/train/1.jpg", "dog/train/1.jpg"], "test": ["dog/test/2.jpg"]}


def test_folds_are_no_classes(tmp_path: Path) -> None:
    put(tmp_path, *(f"fold_{number}/{name}/1.jpg" for number in (1, 2, 3) for name in ("cat", "dog")))
    with pytest.raises(DataError, match=r"has folds, such as fold_1, .* use --folds for cross-validation"):
        open_dataset(tmp_path)


def test_a_table_that_says_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg")
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.jpg,x\ncat/2.jpg,x\ndog/3.jpg,y\ndog/4.jpg,y\n")
    assert open_dataset(tmp_path).layout == "table"  # the same classes by other names
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.jpg,x\ncat/2.jpg,y\ndog/3.jpg,y\ndog/4.jpg,y\n")
    with pytest.raises(DataError, match="choose --layout table or --layout folders"):
        open_dataset(tmp_path)
    for layout, classes in (("table", ("x", "y")), ("folders", ("cat", "dog"))):
        assert labels_of(open_dataset(tmp_path, ReadingOptions(layout=layout))).classes == classes
    with pytest.raises(DataError, match="cannot be read as masks"):
        open_dataset(tmp_path, ReadingOptions(layout="masks"))
    with pytest.raises(DataError, match="There is no layout 'tables'; choose one of idx"):
        open_dataset(tmp_path, ReadingOptions(layout="tables"))


def test_a_single_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has only one class, cat; put the images of each class into a folder"):
        open_dataset(put(tmp_path, "cat/1.jpg", "cat/2.jpg"))


def test_rows_and_labels_go_together(tmp_path: Path) -> None:
    put(tmp_path, *(f"class{label}/{index}.png" for label in range(12) for index in range(3)))
    data = open_dataset(tmp_path)
    for index, label in enumerate(labels_of(data).values):
        assert data.images.name(index).startswith(f"{labels_of(data).classes[label]}/")
    assert np.all(np.diff(labels_of(data).values) >= 0)


@pytest.mark.parametrize("folder", ["A_GroundTruth", "ground truth"])
def test_ground_truth_is_no_class(folder: str, tmp_path: Path) -> None:
    for name in ("A_Input", folder):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGB", (9, 9)).save(tmp_path / name / f"{name}{number}.png")
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(tmp_path)


def test_a_folder_whose_name_is_not_utf_8_is_a_class(tmp_path: Path) -> None:
    """As on a disk that Korean Windows wrote."""
    names = [os.fsdecode(name.encode("euc-kr")) for name in ("고양이", "강아지")]
    for name in names:
        try:
            put(tmp_path, f"{name}/1.png", f"{name}/2.png")
        except OSError:
            pytest.skip("this file system takes no such names")
    assert set(labels_of(open_dataset(tmp_path)).classes) == set(names)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("TrainingSet", "ValidationSet", "TestSet"),
        ("trainImages", "ValData", "TestFolder"),
        ("traindata", "valset", "testimages"),
        ("TRAINSET", "devset", "evaldata"),
        ("학습", "검증", "테스트"),
        ("훈련셋", "검증용_데이터", "시험 데이터"),
        ("1.학습용데이터셋", "2.검증용데이터셋", "3.평가용데이터셋"),
        (unicodedata.normalize("NFD", "학습"), "검증1", unicodedata.normalize("NFD", "평가")),
    ],
)
def test_words_of_splits(tmp_path: Path, train: str, validation: str, test: str) -> None:
    put(tmp_path, *(f"{folder}/{name}/1.jpg" for folder in (train, validation, test) for name in ("cat", "dog")))
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog")
    given = {word: {data.images.name(index) for index in indices} for word, indices in data.given_splits.items()}
    assert given == {
        word: {f"{folder}/{name}/1.jpg" for name in ("cat", "dog")}
        for word, folder in (("train", train), ("validation", validation), ("test", test))
    }


def test_words_that_only_begin_as_splits_are_classes(tmp_path: Path) -> None:
    classes = ("datasets", "devil", "testtube", "testudo", "trainer", "trains", "valley", "values", "시험관", "학습자")
    assert all(split_word(name, alone=False) is None for name in classes)
    assert labels_of(open_dataset(put(tmp_path, *(f"{name}/1.jpg" for name in classes)))).classes == classes
    assert split_word("TestTube") is None


def test_images_without_classes_in_folders_by_glued_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="petsTest and petsTrain are called as splits"):
        open_dataset(put(tmp_path, "petsTrain/1.jpg", "petsTest/2.jpg"))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (("10253", "10254", "10255"), ("0", "1")),
        (("cam1", "cam2"), ("defect", "ok")),
        (("2021", "2022"), ("cat", "dog")),
        (("40X", "100X"), ("benign", "malignant")),
        (("domain1", "domain2"), ("images/back_pack", "images/bike")),
        (("2021", "2022"), ("20210301", "20210302")),
    ],
)
def test_either_of_two_levels_may_be_the_classes(
    tmp_path: Path, outer: tuple[str, ...], inner: tuple[str, ...]
) -> None:
    put(tmp_path, *(f"{one}/{other}/{index}.jpg" for one in outer for other in inner for index in range(2)))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    names = tuple(name.rpartition("/")[2] for name in inner)
    assert str(caught.value) == (
        f"In {tmp_path} the folders {', '.join(outer)} hold the same folders, {', '.join(names)}; choose "
        "--layout folders where the outer ones are classes, or --label-from '([^/]+)/[^/]+$' where the inner ones are."
    )
    assert labels_of(open_dataset(tmp_path, ReadingOptions(layout="folders"))).classes == outer
    assert labels_of(open_dataset(tmp_path, ReadingOptions(label_from="([^/]+)/[^/]+$"))).classes == names


def test_two_levels_where_some_patients_have_one_class_and_images_lie_deeper(tmp_path: Path) -> None:
    put(tmp_path, "data/P1/0/a.jpg", "data/P2/0/deep/a.jpg", "data/P2/1/a.jpg", "data/P3/1/a.jpg", "data/P4/loose.jpg")
    with pytest.raises(DataError, match=r"P1, P2, P3 hold the same folders, 0, 1; .* --label-from '/\(0\|1\)/' where"):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path, ReadingOptions(label_from="/(0|1)/"))
    assert (labels_of(data).classes, labels_of(data).values.tolist()) == (("0", "1"), [0, 0, 1, 1])


def test_two_levels_inside_of_splits(tmp_path: Path) -> None:
    folders = [
        f"{split}/{one}/{other}" for split in ("train", "test") for one in ("P1", "P2") for other in ("ok", "defect")
    ]
    put(tmp_path, *(f"{folder}/1.jpg" for folder in folders))
    with pytest.raises(
        DataError, match="the folders P1, P2 hold the same folders, defect, ok; choose --layout folders"
    ):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path, ReadingOptions(layout="folders"))
    assert (labels_of(data).classes, sorted(data.given_splits)) == (("P1", "P2"), ["test", "train"])
    data = open_dataset(tmp_path, ReadingOptions(label_from="([^/]+)/[^/]+$"))
    assert (labels_of(data).classes, sorted(data.given_splits)) == (("defect", "ok"), ["test", "train"])


@pytest.mark.parametrize(
    "inner",
    [("2021", "2022"), ("2021-03", "2021-04"), ("part1", "part2"), ("only",), ("{}_left", "{}_right")],
)
def test_folders_in_classes_that_are_no_classes(tmp_path: Path, inner: tuple[str, ...]) -> None:
    put(tmp_path, *(f"{one}/{other.format(one)}/1.jpg" for one in ("cat", "dog") for other in inner))
    data = open_dataset(tmp_path)
    assert (labels_of(data).classes, len(data)) == (("cat", "dog"), 2 * len(inner))


@pytest.mark.parametrize("names", [("mask", "no_mask"), ("bottles", "labels")])
@pytest.mark.parametrize("splits", [("",), ("train/", "test/")])
def test_classes_called_as_masks_are_read_when_asked(
    tmp_path: Path, names: tuple[str, str], splits: tuple[str, ...]
) -> None:
    put(tmp_path, *(f"{split}{name}/{name}{index}.jpg" for split in splits for name in names for index in range(3)))
    with pytest.raises(DataError, match=f"unless the folders {', '.join(names)} are classes: --layout folders reads"):
        open_dataset(tmp_path)
    assert labels_of(open_dataset(tmp_path, ReadingOptions(layout="folders"))).classes == names


def test_folders_inside_of_classes_with_names_are_none(tmp_path: Path) -> None:
    put(tmp_path, *(f"{one}/{other}/1.jpg" for one in ("cat", "dog") for other in ("indoor", "outdoor")))
    assert labels_of(open_dataset(tmp_path)).classes == ("cat", "dog")
