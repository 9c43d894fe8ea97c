"""Tables of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from tests.datasets.ground_truths import boxes_by_image, boxes_of, labels_of
from tests.datasets.layouts.boxed import make_pictures, put_text

EXPECTED = {"images/a.jpg": [("cat", (1, 2, 5, 6)), ("dog", (0, 0, 40, 20))], "images/b.jpg": [("cat", (3.5, 4, 9, 9))]}
BARE = "images/a.jpg,1,2,5,6,cat\nimages/a.jpg,0,0,40,20,dog\nimages/b.jpg,3.5,4,9,9,cat\n"
TENSORFLOW = """filename,width,height,class,xmin,ymin,xmax,ymax
a.jpg,40,20,cat,1,2,5,6
a.jpg,40,20,dog,0,0,40,20
b.jpg,40,20,cat,3.5,4,9,9
"""
OPEN_IMAGES = """ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction
a,xclick,/m/01yrx,1,0.025,0.125,0.1,0.3,0,0,0,0
a,xclick,/m/0bt9lr,1,0,1,0,1,0,0,1,0
b,xclick,/m/01yrx,1,0.0875,0.225,0.2,0.45,0,0,0,0
"""


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        f"path,x1,y1,x2,y2,label\n{BARE}",
        TENSORFLOW,
        TENSORFLOW.replace(",", ";"),
        TENSORFLOW.replace(",", "\t"),
        TENSORFLOW.replace("\n", "\r\n"),
        f"\ufeff{TENSORFLOW}",
        TENSORFLOW.replace("a.jpg", "C:\\\\data\\\\images\\\\a.jpg"),
        TENSORFLOW.replace(".jpg", ""),
        OPEN_IMAGES,
    ],
)
def test_kinds_of_tables(text: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "boxes.csv", text)
    put_text(tmp_path / "class-descriptions-boxable.csv", "/m/01yrx,cat\n/m/0bt9lr,dog\n")
    data = open_dataset(tmp_path)
    assert (data.layout, set(data.ground_truths), data.sources) == ("box-table", {"boxes", "labels"}, ("boxes.csv",))
    assert boxes_by_image(data) == EXPECTED
    assert labels_of(data).values.tolist() == [[1, 1], [1, 0]]
    assert boxes_of(data).crowd.tolist() == [False, text == OPEN_IMAGES, False]
    assert boxes_by_image(open_dataset(tmp_path / "boxes.csv")) == EXPECTED


def test_a_line_without_edges_says_that_there_are_no_objects(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
    put_text(tmp_path / "boxes.csv", f"images/c.jpg,,,,,\n{BARE}")
    data = open_dataset(tmp_path)
    assert boxes_by_image(data)["images/c.jpg"] == []
    assert data.notes == ("1 of 4 images left out, such as images/d.jpg",)  # of which the table says nothing


def test_fractions_may_end_a_little_beyond_the_image(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    put_text(tmp_path / "boxes.csv", "image,label,xmin,ymin,xmax,ymax\na,cat,0.025,0.1,0.125,0.3\na,dog,0,0,1.002,1\n")
    assert boxes_by_image(open_dataset(tmp_path))["images/a.jpg"] == [("cat", (1, 2, 5, 6)), ("dog", (0, 0, 40, 20))]


def test_fractions_among_pixels_are_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "boxes.csv", "image,label,xmin,ymin,xmax,ymax\na,cat,0.025,0.1,0.125,0.3\nb,dog,0,0,40,20\n")
    with pytest.raises(DataError, match=r"boxes\.csv has boxes that are fractions of the image, such as one of"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("columns", ["x,y,w,h", "xmin,ymin,width,height", "x_center,y_center,Width,Height", "X,Y,W,H"])
@pytest.mark.parametrize("objects", [1, 2])
def test_boxes_by_their_sides_are_refused(columns: str, objects: int, tmp_path: Path) -> None:
    """Nor are they a table of labels, unless that is asked for."""
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    rows = [f"{image},4,3,2,{side},{label}" for image, label in (("a", "cat"), ("b", "dog")) for side in range(objects)]
    put_text(tmp_path / "boxes.csv", "\n".join([f"image,{columns},class", *rows]))
    for path in (tmp_path, tmp_path / "boxes.csv"):
        with pytest.raises(DataError, match=r"has boxes by the columns .*; write their edges in pixels"):
            open_dataset(path)
    if objects == 1:
        assert open_dataset(tmp_path, ReadingOptions(layout="table")).layout == "table"


def test_a_table_for_each_split(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    first, second, third, fourth = TENSORFLOW.splitlines(keepends=True)
    put_text(tmp_path / "train_labels.csv", first + second + third)
    put_text(tmp_path / "test_labels.csv", first + fourth)
    data = open_dataset(tmp_path)
    assert {name: part.tolist() for name, part in data.given_splits.items()} == {"train": [1], "test": [0]}
    assert boxes_by_image(data) == EXPECTED


def test_a_table_in_the_folder_of_each_split(tmp_path: Path) -> None:
    """As Roboflow writes them, with images of one name in both."""
    for split, name in (("train", "cat"), ("valid", "dog")):
        make_pictures(tmp_path, f"{split}/1.jpg")
        put_text(tmp_path / f"{split}/_annotations.csv", f"{TENSORFLOW.splitlines()[0]}\n1.jpg,40,20,{name},1,2,5,6\n")
    data = open_dataset(tmp_path)
    assert boxes_by_image(data) == {"train/1.jpg": [("cat", (1, 2, 5, 6))], "valid/1.jpg": [("dog", (1, 2, 5, 6))]}
    assert {name: part.tolist() for name, part in data.given_splits.items()} == {"train": [0], "validation": [1]}


def test_a_column_of_splits(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(
        tmp_path / "boxes.csv", "image,xmin,ymin,xmax,ymax,label,set\na.jpg,1,2,5,6,cat,TRAIN\nb.jpg,1,2,5,6,cat,val\n"
    )
    data = open_dataset(tmp_path)
    assert {name: part.tolist() for name, part in data.given_splits.items()} == {"train": [0], "validation": [1]}


def test_without_a_class_all_are_objects(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "boxes.csv", "image,xmin,ymin,xmax,ymax\na.jpg,1,2,5,6\nb.jpg,1,2,5,6\n")
    data = open_dataset(tmp_path)
    assert boxes_of(data).classes == ("object",)
    assert data.notes == ("no column says a class, so all objects are of one, object",)


def test_the_column_of_the_class_can_be_chosen(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(
        tmp_path / "boxes.csv",
        "image,xmin,ymin,xmax,ymax,class,breed\na.jpg,1,2,5,6,cat,Bengal\nb.jpg,1,2,5,6,cat,Manx\n",
    )
    assert boxes_of(open_dataset(tmp_path)).classes == ("cat",)
    assert boxes_of(open_dataset(tmp_path, ReadingOptions(label_column="Breed"))).classes == ("Bengal", "Manx")
    with pytest.raises(DataError, match=r"boxes\.csv has no column kind; choose one of image, xmin"):
        open_dataset(tmp_path, ReadingOptions(label_column="kind"))


def test_as_a_table_of_labels_where_that_is_asked_for(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "boxes.csv", "image,xmin,ymin,xmax,ymax,class\na.jpg,1,2,5,6,cat\nb.jpg,1,2,5,6,dog\n")
    assert open_dataset(tmp_path).layout == "box-table"
    data = open_dataset(tmp_path, ReadingOptions(layout="table"))
    assert (data.layout, labels_of(data).classes) == ("table", ("cat", "dog"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            TENSORFLOW.replace("5,6", "5,x"),
            r"boxes\.csv has a line whose box is not four numbers: a\.jpg, 40, 20, cat, 1",
        ),
        (TENSORFLOW.replace("5,6", "5,"), "has a line whose box is not four numbers"),
        (TENSORFLOW.replace("cat", ""), "has a line without an image or a class"),
        (TENSORFLOW.replace("a.jpg,", ",").replace("b.jpg", ""), "has a line without an image or a class"),
        (TENSORFLOW.replace(".jpg", ".png"), r"holds none of the images that boxes\.csv names, such as a\.png, b\.png"),
    ],
)
def test_what_hinders_reading_is_one_sentence(text: str, why: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "boxes.csv", text)
    with pytest.raises(DataError, match=why):
        open_dataset(tmp_path)


def test_two_tables_that_differ_on_an_image_are_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "boxes.csv", TENSORFLOW)
    put_text(tmp_path / "older.csv", TENSORFLOW.replace("3.5", "4"))
    with pytest.raises(DataError, match=r"boxes\.csv and older\.csv in .* annotate images/b\.jpg differently"):
        open_dataset(tmp_path)
    assert boxes_by_image(open_dataset(tmp_path, ReadingOptions(annotations=("boxes.csv",)))) == EXPECTED
    put_text(tmp_path / "older.csv", TENSORFLOW)
    assert open_dataset(tmp_path).notes == ("older.csv is a copy of boxes.csv and is not read",)


HALVES = TENSORFLOW.replace(",", ";").replace("3.5", "3,5")


@pytest.mark.parametrize(
    "text",
    [
        f"sep=;\n{TENSORFLOW.replace(',', ';')}",
        f'"sep=,"\r\n{TENSORFLOW}',
        f"sep=|\n{BARE.replace(',', '|')}",
        BARE.replace(",", "|"),
        HALVES,
        f"sep=;\n{HALVES}",
        HALVES.replace(";", "\t"),
        BARE.replace(",", ";").replace("3.5", "3,5"),
        BARE.replace("3.5", '"3,5"'),
    ],
)
def test_declared_delimiters_and_decimal_commas(text: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "boxes.csv", text)
    assert boxes_by_image(open_dataset(tmp_path)) == EXPECTED


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path;x1;y1;x2;y2;label\na.jpg;1,234;2;3;4;cat\n", "writes edges as 1,234, where the comma may be a decimal"),
        ("path;x1;y1;x2;y2;label\na.jpg;1,5;2.5;3;4;cat\n", r"writes edges as 2\.5 and as 1,5; write all with a"),
        ("path,x1,y1,x2,y2,label\na.jpg,1,5,2,0,3,5,4,0,cat\n", "a line with too many columns: .* by semicolons"),
    ],
)
def test_commas_with_two_meanings_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    put_text(tmp_path / "boxes.csv", text)
    with pytest.raises(DataError, match=sentence):
        open_dataset(tmp_path)
