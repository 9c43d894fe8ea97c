"""Lists of classes, as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from convolve.datasets.inventory import take_inventory
from convolve.datasets.layouts.class_lists import ClassList, ListedClass, find_class_list, read_classes
from convolve.errors import DataError

BLACK, RED = (0, 0, 0), (200, 0, 0)
PLAIN = (ListedClass("sky"), ListedClass("tree house"))
NUMBERED = (ListedClass("sky", number=0), ListedClass("tree house", number=3))
COLORED = (ListedClass("sky", BLACK), ListedClass("tree house", RED))
ALL = (ListedClass("sky", BLACK, 0), ListedClass("tree house", RED, 3))
GRADES = (ListedClass("grade 1"), ListedClass("grade 2"))


@pytest.mark.parametrize(
    ("file", "text", "classes"),
    [
        ("classes.txt", "sky\ntree house\n", PLAIN),
        ("classes.txt", "sky, tree house", PLAIN),
        ("classes.csv", "name\nsky\ntree house\n", PLAIN),
        ("classes.txt", "grade 1\ngrade 2\n", GRADES),
        ("classes.txt", "1 sky\n1 tree\n", (ListedClass("1 sky"), ListedClass("1 tree"))),
        ("classes.txt", "0 sky\n3 tree house\n", NUMBERED),
        ("classes.txt", "0: sky\n3: tree house\n", NUMBERED),
        ("classes.txt", "sky 0\ntree house 3\n", NUMBERED),
        ("classes.txt", "0\n3\n", (ListedClass("class 0", number=0), ListedClass("class 3", number=3))),
        ("classes.csv", "id,name\n0,sky\n3,tree house\n", NUMBERED),
        ("classes.csv", "name;id;comment\nsky;0;far\ntree house;3;near\n", NUMBERED),
        ("_classes.csv", "Pixel Value, Class\n0, sky\n3, tree house\n", NUMBERED),
        ("label_colors.txt", "0 0 0\tsky\n200 0 0\ttree house\n", COLORED),
        ("label_colors.txt", "0 0 0 sky\n200 0 0 tree house\n", COLORED),
        ("label_colors.txt", "sky 0 0 0\ntree house 200 0 0\n", COLORED),
        ("label_colors.txt", "sky #000000\ntree house #c80000\n", COLORED),
        ("class_dict.csv", "name,r,g,b\nsky,0,0,0\ntree house,200,0,0\n", COLORED),
        ("class_dict.csv", "blue,name,green,red\n0,sky,0,0\n0,tree house,0,200\n", COLORED),
        ("class_dict.csv", 'name,rgb\nsky,"(0, 0, 0)"\ntree house,"(200, 0, 0)"\n', COLORED),
        ("class_dict.csv", "grade 1,0,0,0\ngrade 2,200,0,0\n",
         (ListedClass("grade 1", BLACK), ListedClass("grade 2", RED))),
        ("classes.csv", "0,sky,0,0,0\n3,tree house,200,0,0\n", ALL),
        ("classes.txt", "0 0 0 0 sky\n3 200 0 0 tree house\n", ALL),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:0,0,0::\ntree house:200,0,0::\n", COLORED),
        ("labels.csv", "filename,label\n0.png,sky\n1.png,tree\n", ()),
        ("classes.txt", "", ()),
    ],
)  # fmt: skip
def test_what_a_list_says(file: str, text: str, classes: tuple[ListedClass, ...], tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    assert read_classes(tmp_path / file) == classes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sky\nroad\nsky\n", r"classes\.txt lists the name 'sky' twice; give each class its own"),
        ("sky 0 0 0\nroad 0 0 0\n", r"lists the color \(0, 0, 0\) twice"),
    ],
)
def test_no_two_classes_are_alike(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=sentence):
        read_classes(tmp_path / "classes.txt")


def test_the_nearest_list_is_taken(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "classes.txt").write_text("x\ny\n")
    found = find_class_list(take_inventory(tmp_path))
    assert found is not None
    assert found.names == ("x", "y")
    (tmp_path / "classes.txt").write_text("sky\ntree house\n")
    found = find_class_list(take_inventory(tmp_path))
    assert found is not None
    assert found == ClassList("classes.txt", ("sky", "tree house"), (0, 1))
