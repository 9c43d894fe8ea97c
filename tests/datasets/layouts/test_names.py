"""Labels in the names of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from tests.datasets.layouts.test_folders import put
from tests.datasets.layouts.test_imagenet import found


def test_dogs_and_cats(tmp_path: Path) -> None:
    put(tmp_path, *(f"train/{name}.{number}.jpg" for name in ("cat", "dog") for number in (0, 1)), "test1/1.jpg")
    data = open_dataset(tmp_path)
    assert (data.layout, data.given_splits) == ("names", {})
    assert found(data) == {f"train/{name}.{number}.jpg": name for name in ("cat", "dog") for number in (0, 1)}
    assert data.notes == ("1 of 5 images left out, such as test1/1.jpg",)


@pytest.mark.parametrize(
    "files",
    [
        ("cat.0.jpg", "cat.1.jpg", "dog.0.jpg"),  # one dog
        ("cat.0.jpg", "cat.1.jpg", "cat.2.jpg"),
        ("img_1.jpg", "img_2.jpg", "dsc_1.jpg", "dsc_2.jpg"),
        ("2024.01.jpg", "2024.02.jpg", "2025.01.jpg", "2025.02.jpg"),
        ("a.0.jpg", "a.1.jpg", "b.0.jpg", "b.1.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"),
    ],
)
def test_names_that_say_too_little(tmp_path: Path, files: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(put(tmp_path, *files))


def test_an_expression(tmp_path: Path) -> None:
    put(
        tmp_path,
        "images/Abyssinian_1.jpg",
        "images/great_pyrenees_12.jpg",
        "images/great_pyrenees_13.jpg",
        "images/9.jpg",
    )
    data = open_dataset(tmp_path, ReadingOptions(label_from=r"([^/]+)_[0-9]+\.jpg$"))
    assert found(data) == {
        "images/Abyssinian_1.jpg": "Abyssinian",
        "images/great_pyrenees_12.jpg": "great_pyrenees",
        "images/great_pyrenees_13.jpg": "great_pyrenees",
    }
    assert data.notes == ("1 of 4 images left out, such as images/9.jpg",)


@pytest.mark.parametrize(
    ("pattern", "why"), [("(", "is not a regular expression"), ("images", "finds 1 class"), ("x", "finds 0 classes")]
)
def test_an_expression_that_gives_nothing(tmp_path: Path, pattern: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        open_dataset(put(tmp_path, "images/a_1.jpg", "images/b_2.jpg"), ReadingOptions(label_from=pattern))
