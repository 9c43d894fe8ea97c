"""COCO's annotations, held against COCO's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.coco import inside, region
from convolve.datasets.rle import decode, from_text
from convolve.errors import DataError, ImageError
from convolve.values import Dataset, Pixels
from tests.datasets.ground_truths import labels_of, masks_of

SQUARE = [[2.0, 1.0, 8.0, 1.0, 8.0, 5.0, 2.0, 5.0]]
STRIPE = np.zeros((6, 10), np.uint8)
STRIPE[2:4] = 1


def counts(mask: Pixels) -> Any:
    return coco.encode(np.asfortranarray(mask))


def document(**more: Any) -> dict[str, Any]:
    crowd = {"size": [6, 10], "counts": [0, 6, 54]}
    compressed = counts(STRIPE)
    text = {"size": [6, 10], "counts": compressed["counts"].decode()}
    return {
        "images": [{"id": number, "file_name": f"{number}.png", "height": 6, "width": 10} for number in (7, 8, 9)],
        "categories": [{"id": 44, "name": "bottle"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 7, "category_id": 44, "segmentation": SQUARE, "area": 24},
            {"image_id": 7, "category_id": 3, "segmentation": text, "area": 20, "iscrowd": 1},
            {"image_id": 8, "category_id": 3, "segmentation": crowd, "area": 6, "iscrowd": 1},
        ],
    } | more


def write(place: Path, content: object, images: str = "", numbers: tuple[int, ...] = (7, 8, 9)) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(content))
    root = place.parent.parent if place.parent.name == "annotations" else place.parent
    for number in numbers:
        (root / images).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 6)).save(root / images / f"{number}.png")
    return root


def read(data: Dataset, index: int) -> Pixels:
    return masks_of(data).read(index)


def test_polygons_and_both_kinds_of_run_lengths(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "annotations.json", document(), "images"))
    assert (data.layout, masks_of(data).classes) == ("coco", ("background", "car", "bottle"))
    wanted = np.zeros((6, 10), np.uint8)
    wanted[1:5, 2:8] = 2
    wanted[2:4] = 1  # the smaller one is on top of the larger
    assert np.array_equal(read(data, 0), wanted)
    assert np.array_equal(np.flatnonzero(read(data, 1).any(0)), [0])
    assert not read(data, 2).any()
    assert masks_of(data).presence().tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0]]


def test_labels_are_the_categories_of_all_objects_with_or_without_an_outline(tmp_path: Path) -> None:
    content = document()
    content["annotations"].append({"image_id": 9, "category_id": 44, "bbox": [1, 2, 3, 4], "segmentation": []})
    data = open_dataset(write(tmp_path / "annotations.json", content, "images"))
    assert labels_of(data).multi_label
    assert labels_of(data).classes == ("car", "bottle")
    assert labels_of(data).values.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert not read(data, 2).any()
    assert "3 images with masks and labels" in data.reason


@given(st.lists(st.tuples(st.floats(-3, 33), st.floats(-3, 27)), min_size=3, max_size=9))
@settings(max_examples=80, deadline=None)
def test_polygons_cover_what_they_cover_for_the_coco_api(corners: list[tuple[float, float]]) -> None:
    """Which rounds corners to fifths of a pixel and fills outlines that cross themselves by the same rule."""
    flat = [value for corner in corners for value in corner]
    found = coco.frPyObjects([flat], 24, 30)[0]
    theirs = decode(from_text(found["counts"].decode()), (24, 30))
    ours = inside(np.array(corners), (24, 30))
    length = sum(
        np.hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True)
    )
    assert np.count_nonzero(ours != theirs) <= 2 + 0.5 * length


def test_a_rectangle_is_exact_and_parts_are_one_object() -> None:
    parts = [[0, 0, 3, 0, 3, 2, 0, 2], [5, 3, 10, 3, 10, 6, 5, 6]]
    wanted = np.zeros((6, 10), np.uint8)
    wanted[:2, :3] = 1
    wanted[3:, 5:] = 1
    assert np.array_equal(region(parts, (6, 10)), wanted)


def test_splits_come_from_the_files_names(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "instances_train2017.json", document(), "train2017")
    write(tmp_path / "annotations" / "instances_val2017.json", document(), "val2017")
    (tmp_path / "annotations" / "captions_train2017.json").write_text('{"annotations": [{"caption": "a"}]}')
    data = open_dataset(tmp_path)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 3, "validation": 3}
    assert data.images.name(0) == "train2017/7.png"
    assert data.images.name(5) == "val2017/9.png"


def test_a_file_in_each_splits_folder(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        write(tmp_path / split / "_annotations.coco.json", document())
    data = open_dataset(tmp_path)
    assert sorted(data.given_splits) == ["test", "train", "validation"]
    assert data.images.name(int(data.given_splits["test"][0])).startswith("test/")


def test_images_that_are_missing_are_left_out_and_named(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path / "a.json", document(), "images", (7, 9)))
    assert len(data) == 2
    assert "left out: 1 missing, such as 8.png" in data.reason
    with pytest.raises(DataError, match=r"holds none of the images that a\.json names, such as 7\.png"):
        open_dataset(write(tmp_path / "other" / "a.json", document(), "images", ()))


def test_what_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    root = write(tmp_path / "a.json", document())
    broken = document(annotations=[{"image_id": 7, "category_id": 3, "segmentation": {"size": [6, 10], "counts": [5]}}])
    (root / "a.json").write_text(json.dumps(broken))
    with pytest.raises(ImageError, match=r"An object of 7\.png cannot be drawn \(Run lengths of 5 pixels"):
        read(open_dataset(root), 0)
    unknown = document(annotations=[{"image_id": 7, "category_id": 5, "segmentation": SQUARE}])
    (root / "a.json").write_text(json.dumps(unknown))
    with pytest.raises(DataError, match=r"a\.json is damaged"):
        open_dataset(root)
    (root / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json cannot be read as JSON"):
        open_dataset(root)


def test_boxes_alone_are_no_masks(tmp_path: Path) -> None:
    boxes = document(annotations=[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "segmentation": []}])
    root = write(tmp_path / "a.json", boxes, "images")
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(root)


def test_images_of_another_size_than_the_file_says_are_left_out_and_named(tmp_path: Path) -> None:
    root = write(tmp_path / "a.json", document())
    Image.new("RGB", (12, 6)).save(root / "8.png")
    (root / "9.png").write_text("not an image")  # the doctor says so
    data = open_dataset(root)
    assert [data.images.name(index) for index in range(len(data))] == ["7.png", "9.png"]
    assert "left out: 1 whose size is not the file's, such as 8.png (12x6, not 10x6)" in data.reason
    for number in (7, 9):
        Image.new("RGB", (10, 7)).save(root / f"{number}.png")
    with pytest.raises(
        DataError, match=r"no image has the size that the file gives, such as 7\.png \(10x7, not 10x6\)"
    ):
        open_dataset(root)
