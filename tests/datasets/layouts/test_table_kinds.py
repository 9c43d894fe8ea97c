"""Tables as people have them: other columns, encodings, paths of other machines, and texts that are no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of

Form = Literal["NFC", "NFD"]
IMAGES = tuple(f"{number}.jpg" for number in range(12))
NAMES = ("cat", "dog")
FOLDERS = tuple(f"{NAMES[number % 2]}/{number}.jpg" for number in range(12))
WANTED = {f"{number}.jpg": [NAMES[number % 2]] for number in range(12)}


def write(root: Path, table: str, lines: list[str], images: tuple[str, ...] = IMAGES, encoding: str = "utf-8") -> Path:
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(root / name)
    (root / table).parent.mkdir(parents=True, exist_ok=True)
    (root / table).write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return root


def rows(form: str, count: int = 12) -> list[str]:
    """A line for each number `n`, with its label `l` and the number of that, `k`."""
    return [form.format(n=number, l=NAMES[number % 2], k=number % 2, r=11 - number) for number in range(count)]


def read(root: Path, **options: Any) -> dict[str, list[str]]:
    return labels_by_image(open_dataset(root, ReadingOptions(**options)))


def labels_by_image(data: Dataset) -> dict[str, list[str]]:
    labels = labels_of(data)
    named = {data.images.name(index): row for index, row in enumerate(labels.presence())}
    return {
        name: [label for label, flag in zip(labels.classes, row, strict=True) if flag] for name, row in named.items()
    }


@pytest.mark.parametrize(
    "lines",
    [
        ["id,filename,label", *rows("{r},{n}.jpg,{l}")],
        [",image,label,score", *rows("{r},{n},{l},0.5")],
        ["id,image_id,label", *rows("{r},{n},{l}")],
        ["image_name,target", *rows("{n},{l}")],
        ["file,class_id,class_name", *rows("{n}.jpg,{k},{l}")],
        ["file,target,class_name", *rows("{n}.jpg,{k},{l}")],
        ["file,label", *[f"{number + 1},{line}" for number, line in enumerate(rows("{n}.jpg,{l}"))]],
        rows("{n}.jpg,{l},{n}"),
        rows("{n},{n}.jpg,{l}"),
        rows("{l},{n}.jpg,{k}"),
        rows("{n}.jpg,{l},1"),
        rows("{n}.jpg|{l}"),
        rows("{n}.jpg {l} {k}"),
        rows("{n} {n}.jpg {l}"),
        ["My table,", "file,label", *rows("{n}.jpg,{l}")],
        ["# made by hand", "file,label", *rows("{n}.jpg,{l}")],
        ["sep=;", "file;label", *rows("{n}.jpg;{l}")],
        ['"SEP=,"', *rows("{n}.jpg,{l}")],
        ["image,cat,dog", *[f"{number}, {1 - number % 2}, {number % 2}" for number in range(12)]],
        ["image,cat,dog", *[f"{number},{1 - number % 2}.0,{number % 2}.0" for number in range(12)]],
        ["file,label", *rows("{n}.JPG,{l}")],
        ["image,cat,dog,is_valid", *[f"{n},{n % 2 == 0},{n % 2 == 1},{n > 9}" for n in range(12)]],
        ["path,label", *rows("train/{n}.jpg,{l}")],
        ["path,label", *rows("/content/drive/{n}.jpg,{l}")],
        ["path,label", *rows("D:\\me\\{n}.jpg,{l}")],
    ],
)
def test_columns(tmp_path: Path, lines: list[str]) -> None:
    assert read(write(tmp_path, "labels.csv", lines)) == WANTED


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["left,right,label", *rows("{n}.jpg,{r}.jpg,{l}")],
            r"labels\.csv names images in two columns, left and right",
        ),
        (["id,scan,label", *rows("{n},{r},{l}")], "names images in two columns, id and scan"),
        (["file,category,species", *rows("{n}.jpg,{k},x{n}")], "has labels in the columns category and species"),
        (
            ["file,width,height", *rows("{n}.jpg,{k},0.{k}5")],
            "it has file, width, height; choose one with --label-column",
        ),
        (["file,cat,dog", *rows("{n}.jpg,0.{k},0.5")], "has no column called label or class"),
        (rows("{n}.jpg,{l},x{k}"), r"has 3 columns and no header; .* such as --label-column 2"),
        (["file,hash", *rows("{n}.jpg,x{n}")], "gives each image a label of its own in the column hash"),
        (["id,label", *rows("x{n},{k}")], r"names images that are not in .*: x0, x1, x2; correct the paths"),
        (["url,label", *rows("https://x.org/x{n},{l}")], r"names images that are not in .*: https://x.org/x0"),
        (["path,label", *rows("x{n}.jpg,{l}")], r"names images that are not in .*: x0\.jpg, x1\.jpg, x2\.jpg"),
    ],
)
def test_why_a_table_is_not_taken(tmp_path: Path, lines: list[str], sentence: str) -> None:
    write(tmp_path, "labels.csv", lines)
    with pytest.raises(DataError, match=sentence):
        open_dataset(tmp_path)


def test_a_column_may_be_chosen(tmp_path: Path) -> None:
    write(tmp_path, "meta.csv", ["lesion,scan,dx,age", *rows("{r},{n},{l},{k}")])
    assert read(tmp_path, image_column="scan", label_column="dx") == WANTED
    assert set(map(tuple, read(tmp_path, image_column="SCAN", label_column="age").values())) == {("0",), ("1",)}
    for columns in ({"image_column": "scan", "label_column": "grade"}, {"image_column": "grade"}):
        with pytest.raises(DataError, match=r"meta\.csv has no column grade; choose one of lesion, scan, dx, age\."):
            read(tmp_path, **columns)


def test_a_column_without_header_is_chosen_by_its_number(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", rows("{n}.jpg,x{k},{l}"))
    assert read(tmp_path, label_column="3") == WANTED


def test_a_chosen_column_asks_for_a_table(tmp_path: Path) -> None:
    write(tmp_path, "notes.md", [], FOLDERS)
    with pytest.raises(DataError, match="cannot be read as parquet or table"):
        read(tmp_path, label_column="dx")


@pytest.mark.parametrize(
    ("encoding", "labels", "name"),
    [
        ("utf-8-sig", ("고양이", "강아지"), None),
        ("utf-16", ("고양이", "강아지"), "UTF-16"),
        ("utf-16-le", ("고양이", "강아지"), "UTF-16"),
        ("cp949", ("고양이", "강아지"), "CP949"),
        ("latin-1", ("Äpfel", "Füße"), "Latin-1"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, labels: tuple[str, str], name: str | None) -> None:
    lines = ["file,label", *[f"{number}.jpg,{labels[number % 2]}" for number in range(12)]]
    data = open_dataset(write(tmp_path, "labels.csv", lines, encoding=encoding))
    assert labels_by_image(data) == {f"{number}.jpg": [labels[number % 2]] for number in range(12)}
    assert list(data.notes) == ([f"labels.csv is not UTF-8 and was read as {name}"] if name else [])


def test_what_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", [])
    (tmp_path / "labels.csv").write_bytes(b"0.jpg,\x81\x8d\n1.jpg,\x8f\n")
    with pytest.raises(DataError, match=r"labels\.csv cannot be read as text .*; save it as UTF-8"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(("table", "files"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_unicode_forms(tmp_path: Path, table: Form, files: Form) -> None:
    names = tuple(normalize(files, f"사진/é{number}.jpg") for number in range(4))
    lines = [
        "파일,라벨,기타",
        *[f"é{number}.jpg,{('고양이', '강아지')[number % 2]},{number // 2}" for number in range(4)],
    ]
    found = read(write(tmp_path, "labels.csv", [normalize(table, line) for line in lines], names))
    assert found == {name: [("고양이", "강아지")[index % 2]] for index, name in enumerate(names)}


def test_a_path_with_a_folder_is_found_by_its_ending(tmp_path: Path) -> None:
    images = ("test/0.jpg", "test/1.jpg", "train/1.jpg", "train/2.jpg")
    lines = ["path,label", "train/0.jpg,cat", "test/0.jpg,dog", "data/test/1.jpg,dog", "TRAIN/1.JPG,cat", "2,cat"]
    data = open_dataset(write(tmp_path, "labels.csv", lines, images))
    assert labels_by_image(data) == {
        "train/0.jpg": ["cat"],  # not test/0.jpg
        "test/0.jpg": ["dog"],
        "test/1.jpg": ["dog"],
        "train/1.jpg": ["cat"],
        "train/2.jpg": ["cat"],
    }
    assert "labels.csv names 1 image, missing: train/0.jpg" in data.notes


def test_a_name_of_two_images_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", ["file,label", "0.jpg,cat", "1.jpg,dog"], ("a/0.jpg", "b/0.jpg", "b/1.jpg"))
    with pytest.raises(DataError, match=r"names 0\.jpg, which may be a/0\.jpg or b/0\.jpg; write its path"):
        open_dataset(tmp_path / "labels.csv")


def test_a_bare_name_is_the_image_and_not_its_mask(tmp_path: Path) -> None:
    images = tuple(f"{folder}/{number}.jpg" for folder in ("images", "masks") for number in range(12))
    data = open_dataset(write(tmp_path, "labels.csv", ["id,label", *rows("{n},{l}")], images))
    assert labels_by_image(data) == {f"images/{name}": labels for name, labels in WANTED.items()}


@pytest.mark.parametrize(("folder", "taken"), [("images", True), ("test", False)])
def test_paths_of_another_machine(tmp_path: Path, folder: str, taken: bool) -> None:
    lines = ["path,label", *rows("/home/me/train/{l}/{n}.jpg,my {l}")]
    write(tmp_path, "labels.csv", lines, tuple(f"{folder}/{path}" for path in FOLDERS))
    if taken:
        data = open_dataset(tmp_path)
    else:
        with pytest.raises(DataError, match=r"names images that are not in .*: /home/me/train/cat/0\.jpg"):
            open_dataset(tmp_path / "labels.csv")
        return
    assert labels_by_image(data) == {f"images/{path}": [f"my {path[:3]}"] for path in FOLDERS}
    assert "labels.csv: paths counted from /home/me/train" in data.notes


@pytest.mark.parametrize(
    ("table", "lines", "reason"),
    [
        ("classes.txt", ["0 cat", "1 dog"], None),
        ("classes.csv", ["id,name", "1,cat", "2,dog"], None),
        ("README.txt", ["Photographs, of animals.", "See 0.jpg, and others.", "Thanks, all."], None),
        ("README.txt", ["long " * 100 + "sentence.", "very " * 100 + "long, and", "x" * 300 + ".jpg"], None),
        ("notes.csv", ["file,label", *rows("{n}.jpg,{l}ty", 5)], r"notes\.csv names only 5 of 12 images"),
        (
            "areas.csv",
            ["image,mask,cat,dog,error", *rows("{n}.jpg,x{n}.png,0.5,0.5,")],
            "holds predictions of convolve",
        ),
        ("answers.csv", ["image,label,confidence,error", *rows("{n}.jpg,{l},0.9,")], "holds predictions of convolve"),
        ("sample_submission.csv", ["id,label", *rows("{n},{l}")], "is called a submission"),
        ("answer.csv", ["id,label", *rows("{n},0.5")], "has only one class, '0.5', for all of its images"),
    ],
)
def test_texts_that_do_not_take_over(tmp_path: Path, table: str, lines: list[str], reason: str | None) -> None:
    data = open_dataset(write(tmp_path, table, lines, FOLDERS))
    assert (data.layout, len(data)) == ("folders", 12)
    assert [note for note in data.notes if "was not taken" in note] == list(data.notes)
    if reason is None:
        assert not data.notes
    else:
        assert len(data.notes) == 1
        with pytest.raises(DataError, match=reason):
            raise DataError(data.notes[0])


def test_texts_on_single_images_are_no_tables(tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path, f"{number}.txt", [f"{number % 2} 0.5"])
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(tmp_path)


def test_a_table_of_few_images_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "notes.csv", ["file,label", *rows("{n}.jpg,{l}ty", 5)])
    with pytest.raises(DataError, match=r"names only 5 of 12 images; give the file itself, or --layout table"):
        open_dataset(tmp_path)
    for data in (open_dataset(tmp_path / "notes.csv"), open_dataset(tmp_path, ReadingOptions(layout="table"))):
        assert len(data) == 5


def test_a_small_table_does_not_hinder_the_large_one(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", ["file,label", *rows("{n}.jpg,{l}")])
    write(tmp_path, "notes.csv", ["file,label", *rows("{n}.jpg,{l}ty", 5)])
    for options in (ReadingOptions(), ReadingOptions(layout="table")):
        data = open_dataset(tmp_path, options)
        assert labels_by_image(data) == WANTED
        assert any("notes.csv names only 5 of 12 images" in note for note in data.notes)


def test_predictions_are_read_when_the_file_is_given(tmp_path: Path) -> None:
    write(tmp_path, "answers.csv", ["image,label,confidence,error", *rows("{n}.jpg,{l},0.9,")])
    for options in (ReadingOptions(), ReadingOptions(layout="table")):
        with pytest.raises(DataError, match=r"answers\.csv holds predictions of convolve; give the file itself"):
            open_dataset(tmp_path, options)
    assert read(tmp_path / "answers.csv") == WANTED


def test_images_for_tests_need_no_labels(tmp_path: Path) -> None:
    images = (*(f"train/{name}" for name in IMAGES), *(f"test/x{number}.jpg" for number in range(20)))
    write(tmp_path, "sample.csv", ["id,label", *[f"x{number},{number % 2}" for number in range(20)]], images)
    with pytest.raises(DataError, match=r"sample\.csv names only 20 of 32 images, those of tests"):
        open_dataset(tmp_path)
    (tmp_path / "sample.csv").rename(tmp_path / "sample_submission.csv")
    write(tmp_path, "train.csv", ["id,label", *rows("{n},{l}")])
    for name in IMAGES:
        (tmp_path / name).unlink()
    data = open_dataset(tmp_path)
    assert labels_by_image(data) == {f"train/{name}": labels for name, labels in WANTED.items()}
    assert any("sample_submission.csv is called a submission" in note for note in data.notes)


def test_tables_in_the_folders_of_splits(tmp_path: Path) -> None:
    for folder, count in (("train", 8), ("valid", 4)):
        images = tuple(f"{folder}/{number}.jpg" for number in range(count))
        lines = ["filename, cat, dog, owl", *[f"{number}.jpg, 1, {number % 2}, 0" for number in range(count)]]
        write(tmp_path, f"{folder}/_classes.csv", lines, images)
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog", "owl")
    assert labels_of(data).counts().tolist() == [12, 6, 0]
    assert {name: len(part) for name, part in data.given_splits.items()} == {"train": 8, "validation": 4}
    assert any("a column of 0 and 1 for each of 3 labels" in note for note in data.notes)


def test_tables_of_one_split_that_name_the_same_images(tmp_path: Path) -> None:
    for name, label in (("train_a.csv", "{l}"), ("train_b.csv", "{k}")):
        write(tmp_path, name, ["file,label", *rows(f"{{n}}.jpg,{label}")])
    with pytest.raises(DataError, match=r"holds 2 tables of images; .*train_a\.csv, .*train_b\.csv"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("table", "lines", "wanted", "what"),
    [
        ("l.csv", ["file;label", "0.jpg;0,5", "1.jpg;1", "2.jpg;0,5"], [["0,5"], ["1"], ["0,5"]], None),
        ("l.csv", ["0.jpg;0,5", "1.jpg;1,5", "2.jpg;0,5"], [["0,5"], ["1,5"], ["0,5"]], None),
        ("l.csv", ["file,labels", '0.jpg,"1,2"', "1.jpg,1", "2.jpg,2"], [["1", "2"], ["1"], ["2"]], "commas"),
        ("l.csv", ["file,label", '0.jpg,"a,b"', "1.jpg,a", "2.jpg,b"], [["a", "b"], ["a"], ["b"]], "commas"),
        ("l.csv", ["file,tags", "0.jpg,a b", "1.jpg,a", "2.jpg,b"], [["a", "b"], ["a"], ["b"]], "spaces"),
        ("l.csv", ["file,tags", "0.jpg,hot dog", "1.jpg,big cat", "2.jpg,big dog"], None, None),
        ("l.csv", ["file,label", "0.jpg,a b", "1.jpg,a", "2.jpg,b"], [["a b"], ["a"], ["b"]], None),
        ("l.csv", ["file,labels", "0.jpg,\"['a', 'b']\"", "1.jpg,['b']", "2.jpg,[]"], [["a", "b"], ["b"], []], "brac"),
        ("l.txt", ["0.jpg big cat", "1.jpg dog", "2.jpg big cat"], [["big cat"], ["dog"], ["big cat"]], None),
    ],
)  # fmt: skip
def test_cells(tmp_path: Path, table: str, lines: list[str], wanted: list[list[str]] | None, what: str | None) -> None:
    data = open_dataset(write(tmp_path, table, lines, IMAGES[:3]))
    found = list(labels_by_image(data).values())[:3]
    assert found == (wanted or [[line.partition(",")[2]] for line in lines[1:]])
    assert [note for note in data.notes if "several labels" in note and what and what in note] == [
        note for note in data.notes if "several labels" in note
    ]
    assert labels_of(data).multi_label == (what is not None)


def test_commas_that_may_be_either(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", ["file,label", '0.jpg,"0,5"', '1.jpg,"1,5"', '2.jpg,"0,5"'], IMAGES[:3])
    with pytest.raises(DataError, match=r"labels\.csv .* column label, such as in 0,5, may .* be decimal signs"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "NULL", "N/A", "<NA>"])
def test_an_empty_cell_is_no_class(tmp_path: Path, empty: str) -> None:
    write(tmp_path, "labels.csv", [",file,label", *rows("{n},{n}.jpg,{l}", 11), f"11,11.jpg,{empty}"])
    data = open_dataset(tmp_path)
    assert labels_by_image(data) == {name: labels for name, labels in WANTED.items() if name != "11.jpg"}
    assert "labels.csv gives no label to 1 image, left out: 11.jpg" in data.notes


def test_an_image_in_two_lines(tmp_path: Path) -> None:
    lines = ["file,label", *rows("{n}.jpg,{l}"), "3.jpg,dog", "4.jpg,dog"]
    data = open_dataset(write(tmp_path, "labels.csv", lines))
    assert labels_by_image(data) == {name: labels for name, labels in WANTED.items() if name != "4.jpg"}
    assert "labels.csv repeats 1 image, counted once: 3.jpg" in data.notes
    assert "labels.csv gives different labels in several lines to 1 image, left out: 4.jpg" in data.notes
    write(tmp_path, "labels.csv", [*lines, "5.jpg,cat", "6.jpg,dog"])
    with pytest.raises(DataError, match=r"gives 3 of 12 images different labels in several lines, such as 4\.jpg"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("column", "flags", "splits"),
    [
        ("is_valid", ("False", "True"), {"train": 6, "validation": 6}),
        ("isValidation", ("0", "1"), {"train": 6, "validation": 6}),
        ("is_test", ("0.0", "1.0"), {"train": 6, "test": 6}),
        ("is_training_image", ("0", "1"), {"train": 6, "test": 6}),
        ("is_test", ("no", "Yes"), {"train": 6, "test": 6}),
        ("is_test", ("N", "Y"), {"train": 6, "test": 6}),
        ("is_test", ("F", "T"), {"train": 6, "test": 6}),
    ],
)
def test_a_column_that_flags_a_split(
    tmp_path: Path, column: str, flags: tuple[str, str], splits: dict[str, int]
) -> None:
    lines = [f"{number}.jpg,{NAMES[number % 2]},{flags[number // 6]}" for number in range(12)]
    data = open_dataset(write(tmp_path, "train.csv", [f"fname,labels,{column}", *lines]))
    assert labels_by_image(data) == WANTED
    assert {split: len(indices) for split, indices in data.given_splits.items()} == splits
    last = [data.images.name(index) for index in data.given_splits.get("validation", ())]
    assert last in ([], [f"{number}.jpg" for number in range(6, 12)])
    assert f"{column} puts images into " in data.notes[0]


@pytest.mark.parametrize(("flags", "odd"), [(("", "True"), ""), (("", "test"), ""), (("0", "maybe"), "maybe")])
def test_a_flag_of_a_split_says_yes_or_no(flags: tuple[str, str], odd: str, tmp_path: Path) -> None:
    lines = [f"{number}.jpg,{NAMES[number % 2]},{flags[number // 6]}" for number in range(12)]
    write(tmp_path, "train.csv", ["fname,labels,is_test", *lines])
    with pytest.raises(DataError, match=f"has '{odd}' in the column is_test; write yes or no, or remove it"):
        open_dataset(tmp_path)
    if odd == "maybe":
        named = open_dataset(tmp_path, ReadingOptions(label_column="is_test"))
        assert labels_of(named).classes == ("0", "maybe")


def test_a_flag_of_a_split_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no column called label or class; it has image, is_valid"):
        open_dataset(write(tmp_path, "labels.csv", ["image,is_valid", *rows("{n}.jpg,{k}")]))
    lines = ["image,is_car,is_train,is_bus", *[f"{n},{n % 3 == 0},{n % 3 == 1},{n % 3 == 2}" for n in range(12)]]
    data = open_dataset(write(tmp_path, "labels.csv", lines))
    assert (labels_of(data).classes, data.given_splits) == (("is_bus", "is_car", "is_train"), {})


def test_folders_tell_the_splits_of_a_table(tmp_path: Path) -> None:
    images = tuple(f"{'train' if number < 8 else 'test'}/{number}.jpg" for number in range(12))
    lines = ["path,label", *[f"{image},{NAMES[number % 2]}" for number, image in enumerate(images)]]
    data = open_dataset(write(tmp_path, "labels.csv", lines, images))
    assert {split: indices.tolist() for split, indices in data.given_splits.items()} == {
        "train": [*range(8)],
        "test": [*range(8, 12)],
    }


def test_two_columns_of_images_are_no_folders_of_classes(tmp_path: Path) -> None:
    images = tuple(f"{side}/{number}.jpg" for number in range(12) for side in ("left", "right"))
    lines = ["left,right,label", *rows("left/{n}.jpg,right/{n}.jpg,{l}")]
    write(tmp_path, "labels.csv", lines, images)
    with pytest.raises(DataError, match="two columns, left and right; choose one with --image-column"):
        open_dataset(tmp_path)
    assert labels_of(open_dataset(tmp_path, ReadingOptions(image_column="left"))).classes == NAMES
    assert labels_of(open_dataset(tmp_path, ReadingOptions(layout="folders"))).classes == ("left", "right")


def test_splits_without_labels_are_said_not_to_be_used(tmp_path: Path) -> None:
    for name, part in (("train.txt", FOLDERS[:8]), ("test.txt", FOLDERS[8:])):
        write(tmp_path / "lists", name, list(part), FOLDERS)
    said = "the splits of test.txt, train.txt are not used; write a table with the columns path, label and split"
    assert said in open_dataset(tmp_path / "lists").notes
    lines = ["image,split", *[f"{name},{'train' if index < 8 else 'test'}" for index, name in enumerate(FOLDERS)]]
    notes = open_dataset(write(tmp_path / "table", "split.csv", lines, FOLDERS)).notes
    assert any("it has image, split; add one, or its splits are not used" in note for note in notes)
    other = write(tmp_path / "other", "train.txt", ["notes on training", "more"], FOLDERS)
    assert not [note for note in open_dataset(other).notes if "splits" in note]
