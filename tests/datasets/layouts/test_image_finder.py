"""Names of images that annotation files brought from other machines."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.layouts.coco_documents import check_simple, simple, write


@pytest.mark.parametrize(
    "name",
    ["images\\{}.png", "..\\..\\images\\{}.png", "./images/{}.png", "/home/me/images/{}.png", "C:\\set\\{}.png",
     "file:///data/images/{}.png", "https://host/images/{}.png?token=1", "{}.PNG", "{}", "im%61ges/{}%2Epng"],
)  # fmt: skip
def test_names_from_other_machines(tmp_path: Path, name: str) -> None:
    content = simple()
    for image in content["images"]:
        image["file_name"] = name.format(image["id"])
    check_simple(open_dataset(write(tmp_path / "annotations" / "instances.json", content, "images")))


@pytest.mark.parametrize(("here", "there"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_are_compared_in_one_unicode_form(
    tmp_path: Path, here: Literal["NFC", "NFD"], there: Literal["NFC", "NFD"]
) -> None:
    root = write(tmp_path / "a.json", simple())
    content = simple()
    for image in content["images"]:
        (root / image["file_name"]).rename(root / normalize(here, f"사진{image['file_name']}"))
        image["file_name"] = normalize(there, f"사진{image['file_name']}")
    check_simple(open_dataset(write(root / "a.json", content, numbers=())))


def test_an_escape_in_a_files_own_name_is_part_of_it(tmp_path: Path) -> None:
    content = simple()
    root = write(tmp_path / "a.json", content)
    (root / "7.png").rename(root / "100%25.png")
    content["images"][0]["file_name"] = "100%25.png"
    check_simple(open_dataset(write(root / "a.json", content, numbers=())))


def test_an_address_alone_names_the_image(tmp_path: Path) -> None:
    content = simple()
    for image in content["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
    data = open_dataset(write(tmp_path / "a.json", content, "images"))
    check_simple(data)
    first = "http://images.cocodataset.org/val2017/7.png"
    assert data.notes == (f"in another folder than a.json says: 3 images, such as {first}, which is images/7.png",)


def test_an_image_in_another_splits_folder_is_another_image(tmp_path: Path) -> None:
    content = simple()
    with pytest.raises(DataError, match=r"holds none of the images that instances_train\.json names, such as 7\.png"):
        open_dataset(write(tmp_path / "instances_train.json", content, "test"))
    for image in content["images"]:
        image["file_name"] = f"train/{image['file_name']}"
    with pytest.raises(DataError, match=r"holds none of the images that a\.json names, such as train/7\.png"):
        open_dataset(write(tmp_path / "other" / "a.json", content, "test"))


def test_two_names_of_one_image_and_one_name_of_two(tmp_path: Path) -> None:
    content = simple()
    for image in content["images"]:
        image["file_name"] = f"{'a' if image['id'] < 9 else 'b'}/7.png" if image["id"] != 8 else "8.png"
    data = open_dataset(write(tmp_path / "a.json", content, "images"))
    assert [data.images.name(index) for index in range(len(data))] == ["images/8.png"]
    assert "left out: 2 missing, such as a/7.png, b/7.png" in data.notes
    (root := tmp_path / "two").mkdir()
    write(root / "a.json", simple(), "images")
    write(root / "a.json", simple(), "images/small")
    with pytest.raises(DataError, match=r"a\.json names 7\.png, which may be images/7\.png or images/small/7\.png"):
        open_dataset(root)
