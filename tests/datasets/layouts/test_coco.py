"""COCO's annotations, held against COCO's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.shapes import Polygons
from convolve.datasets.rle import decode, from_text
from convolve.errors import DataError, ImageError
from convolve.tasks.segment.annotations import AnnotatedImage as PredictedImage
from convolve.tasks.segment.annotations import document as predicted_document
from convolve.values import Dataset, Pixels
from tests.datasets.ground_truths import boxes_by_image, labels_of, masks_of
from tests.datasets.layouts.annotated import paint
from tests.datasets.layouts.coco_documents import SQUARE, check_simple, document, simple, write


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
    assert masks_of(data).covers.tolist() == [True, True, False]  # nobody knows what the bottle covers
    assert data.notes == (
        "not painted: 1 object with only a box, such as in images/9.png; labels, but no mask: 1 image",
    )
    assert "3 images with masks and labels" in data.reason


@given(st.lists(st.tuples(st.floats(-3, 33), st.floats(-3, 27)), min_size=3, max_size=9))
@settings(max_examples=80, deadline=None)
def test_polygons_cover_what_they_cover_for_the_coco_api(corners: list[tuple[float, float]]) -> None:
    """Which rounds corners to fifths of a pixel and fills outlines that cross themselves by the same rule."""
    flat = [value for corner in corners for value in corner]
    found = coco.frPyObjects([flat], 24, 30)[0]
    theirs = decode(from_text(found["counts"].decode()), (24, 30))
    ours = paint(Polygons([flat]), (24, 30))
    length = sum(
        np.hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True)
    )
    assert np.count_nonzero(ours != theirs) <= 2 + 0.5 * length


def test_a_rectangle_is_exact_and_parts_are_one_object() -> None:
    parts = [[0, 0, 3, 0, 3, 2, 0, 2], [5, 3, 10, 3, 10, 6, 5, 6]]
    wanted = np.zeros((6, 10), np.uint8)
    wanted[:2, :3] = 1
    wanted[3:, 5:] = 1
    assert np.array_equal(paint(Polygons(parts), (6, 10)), wanted)


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
    assert "left out: 1 missing, such as 8.png" in data.notes
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
    with pytest.raises(DataError, match=r"1 object whose category_id is none of its categories' ids, such as 5"):
        open_dataset(root)
    (root / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json cannot be read as JSON"):
        open_dataset(root)


def test_boxes_alone_are_no_masks(tmp_path: Path) -> None:
    boxes = document(annotations=[{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "segmentation": []}])
    root = write(tmp_path / "a.json", boxes, "images")
    data = open_dataset(root)
    assert set(data.ground_truths) == {"boxes", "labels"}
    assert boxes_by_image(data)["images/7.png"] == [("car", (1, 2, 4, 6))]
    del boxes["annotations"][0]["bbox"]
    write(tmp_path / "a.json", boxes, "images")
    with pytest.raises(DataError, match=r"its 1 object it has no boxes or outlines, such as in 7\.png; export"):
        open_dataset(root)


def test_images_of_another_size_than_the_file_says_are_left_out_and_named(tmp_path: Path) -> None:
    root = write(tmp_path / "a.json", document())
    Image.new("RGB", (12, 6)).save(root / "8.png")
    (root / "9.png").write_text("not an image")  # the doctor says so
    data = open_dataset(root)
    assert [data.images.name(index) for index in range(len(data))] == ["7.png", "9.png"]
    assert "left out: 1 whose size is not the file's, such as 8.png (12x6, not 10x6)" in data.notes
    for number in (7, 9):
        Image.new("RGB", (10, 7)).save(root / f"{number}.png")
    with pytest.raises(
        DataError, match=r"no image has the size that the file gives, such as 7\.png \(10x7, not 10x6\)"
    ):
        open_dataset(root)


@pytest.mark.parametrize(("image", "category"), [(str, str), (float, float), (lambda number: f" {number}", str)])
def test_ids_are_compared_as_text(tmp_path: Path, image: Any, category: Any) -> None:
    content = simple()
    for one in content["annotations"]:
        one.update(image_id=image(one["image_id"]), category_id=category(one["category_id"]))
    check_simple(open_dataset(write(tmp_path / "a.json", content)))


def test_objects_of_no_image_are_named_and_refused_where_all_are(tmp_path: Path) -> None:
    content = simple()
    content["annotations"][1]["image_id"] = 99
    root = write(tmp_path / "a.json", content)
    assert open_dataset(root).notes == ("left out: 1 object with an image_id that no image has, such as 99",)
    content["annotations"][0]["image_id"] = "7.png"
    with pytest.raises(DataError, match=r"a\.json no image has an id that an object names, such as 7\.png; correct"):
        open_dataset(write(root / "a.json", content))


def test_ids_that_two_have_are_refused_or_left_out(tmp_path: Path) -> None:
    content = simple()
    content["images"][1]["id"] = 7
    content["annotations"][1]["image_id"] = 9
    data = open_dataset(write(tmp_path / "a.json", content))
    assert [data.images.name(index) for index in range(len(data))] == ["9.png"]
    assert "left out: 2 images of the same id, such as 7.png, 8.png (7)" in data.notes
    content["images"][2]["id"] = 7
    with pytest.raises(DataError, match=r"gives the same id 7 to 7\.png, 8\.png, 9\.png; number the images anew"):
        open_dataset(write(tmp_path / "a.json", content))
    double = simple(categories=[{"id": 3, "name": "car"}, {"id": "3", "name": "bottle"}])
    with pytest.raises(DataError, match="two categories of the same id 3"):
        open_dataset(write(tmp_path / "a.json", double))


@pytest.mark.parametrize("name", ["background", "Background", "_background_", " BACKGROUND"])
def test_a_category_called_background_is_class_0(tmp_path: Path, name: str) -> None:
    content = simple(categories=[{"id": 0, "name": name}, {"id": 3, "name": "car"}])
    hole = {"image_id": 7, "category_id": 0, "segmentation": [[3, 2, 5, 2, 5, 4, 3, 4]]}
    content["annotations"].append(hole)
    data = open_dataset(write(tmp_path / "a.json", content))
    assert masks_of(data).classes == ("background", "car")
    assert masks_of(data).pixel_counts()[0].tolist() == [40, 20]
    assert labels_of(data).classes == ("car",)


def test_a_category_that_only_heads_others_is_no_class(tmp_path: Path) -> None:
    head = {"id": 0, "name": "vehicles", "supercategory": "none"}
    car = {"id": 3, "name": "car", "supercategory": "vehicles"}
    unused = {"id": 4, "name": "bus", "supercategory": "vehicles"}
    root = write(tmp_path / "a.json", simple(categories=[head, car, unused]))
    data = open_dataset(root)
    assert masks_of(data).classes == ("background", "car", "bus")
    assert data.notes == ("no object has the category vehicles, to which others belong; it is no class",)
    content = simple(categories=[head, car])
    content["annotations"][0]["category_id"] = 0
    assert masks_of(open_dataset(write(root / "a.json", content))).classes == ("background", "vehicles", "car")


def test_two_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    composed, decomposed = normalize("NFC", "café"), normalize("NFD", "café")
    content = simple(categories=[{"id": 3, "name": composed}, {"id": 5, "name": decomposed}])
    content["annotations"][1]["category_id"] = 5
    data = open_dataset(write(tmp_path / "a.json", content))
    assert labels_of(data).classes == (composed,)
    assert labels_of(data).values.tolist() == [[1], [1], [0]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    root = write(tmp_path / "a.json", simple())
    (root / "a.json").write_text(json.dumps(simple()), encoding=encoding)
    check_simple(open_dataset(root))


@pytest.mark.parametrize("area", [None, 0, "", 1])
def test_the_smaller_outline_is_on_top_whatever_the_area_says(tmp_path: Path, area: object) -> None:
    content = document()
    whole = {"image_id": 7, "category_id": 3, "segmentation": [[0, 0, 10, 0, 10, 6, 0, 6]], "area": area}
    content["annotations"] = [{**content["annotations"][0], "area": area}, whole]
    data = open_dataset(write(tmp_path / "a.json", content))
    assert masks_of(data).pixel_counts()[0].tolist() == [0, 36, 24]


@pytest.mark.parametrize(
    "outline",
    [SQUARE[0], [[2, 1], [8, 1], [8, 5], [2, 5]], [[[2, 1], [8, 1], [8, 5], [2, 5]]], [*SQUARE, [1, 1], []]],
)
def test_a_flat_list_and_a_list_of_corners_are_one_polygon(tmp_path: Path, outline: object) -> None:
    content = simple()
    for one in content["annotations"]:
        one["segmentation"] = outline
    check_simple(open_dataset(write(tmp_path / "a.json", content)))


@pytest.mark.parametrize(
    ("outline", "why"),
    [
        ([[2, 1, 8, 1, 8, 5, 2]], "its polygon of 7 numbers ends in the middle of a corner"),
        ([[2, 1, 8, float("nan"), 8, 5]], "its polygon does not consist of numbers"),
        ("2 1 8 1 8 5", "its outline is no list of polygons"),
        ({"counts": [60]}, "its run lengths are of None"),
        ({"size": [6, 10]}, "its run lengths are neither whole numbers nor text"),
    ],
)
def test_a_damaged_outline_is_named(tmp_path: Path, outline: object, why: str) -> None:
    content = simple()
    content["annotations"][1]["segmentation"] = outline
    with pytest.raises(ImageError, match=f"An object of 8.png cannot be drawn .{why}"):
        read(open_dataset(write(tmp_path / "a.json", content)), 1)


def test_corners_in_fractions_are_refused(tmp_path: Path) -> None:
    content = simple()
    for one in content["annotations"]:
        one["segmentation"] = [[0.1, 0.1, 0.9, 0.1, 0.9, 1]]
    with pytest.raises(DataError, match=r"a\.json has corners that are fractions of the image; export them in pixels"):
        open_dataset(write(tmp_path / "a.json", content))


@pytest.mark.parametrize("size", [{}, {"width": 0, "height": 0}, {"width": "10", "height": "6"}, {"width": None}])
def test_a_size_that_is_missing_is_the_images(tmp_path: Path, size: dict[str, Any]) -> None:
    content = simple()
    for image in content["images"]:
        del image["width"], image["height"]
        image.update(size)
    root = write(tmp_path / "a.json", content)
    check_simple(open_dataset(root))
    (root / "7.png").write_text("no image")
    if "height" not in size or not int(size["height"]):
        with pytest.raises(ImageError, match=r"7\.png cannot be read, so that the size of its mask is unknown"):
            read(open_dataset(root), 0)


def test_an_image_that_is_listed_twice_has_the_objects_of_both(tmp_path: Path) -> None:
    content = simple()
    content["images"].append({**content["images"][2], "id": 10})
    content["annotations"].append({**content["annotations"][0], "image_id": 10})
    data = open_dataset(write(tmp_path / "a.json", content))
    assert masks_of(data).pixel_counts()[:, 1].tolist() == [24, 24, 24]
    assert data.notes == ("listed twice and taken once: 1 image, such as 9.png",)


def test_two_files_of_the_same_images_must_agree(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "all.json", simple(), "images")
    part = simple(images=simple()["images"][:1], annotations=simple()["annotations"][:1])
    write(tmp_path / "annotations" / "train.json", part, "images")
    check_simple(open_dataset(tmp_path))
    write(tmp_path / "annotations" / "train.json", simple(annotations=simple()["annotations"][:1]), "images")
    with pytest.raises(DataError, match=r"annotate images/8\.png differently; leave one of them, or give the file"):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path / "annotations" / "train.json")
    assert masks_of(data).pixel_counts()[:, 1].tolist() == [24, 0, 0]


def test_foreign_json_does_not_matter(tmp_path: Path) -> None:
    root = write(tmp_path / "a.json", simple())
    for name, text in {"7.json": "", "b.json": "[1, 2]", "c.json": "{", "d.json": "[" * 100_000}.items():
        (root / name).write_text(text)
    check_simple(open_dataset(root))
    (root / "e.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"e\.json cannot be read as JSON"):
        open_dataset(root)


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, {"a": 1}, ["a"]])
def test_other_things_under_the_same_keys_are_named(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(DataError, match=f"a.json has COCO's keys, but its {key} are no list of objects"):
        open_dataset(write(tmp_path / "a.json", simple(**{key: value})))


@pytest.mark.parametrize(
    ("key", "field", "message"),
    [
        ("images", "id", r"an image without id or file_name \(7\.png\)"),
        ("images", "file_name", "an image without id or file_name"),
        ("categories", "name", "a category without id or name"),
        ("annotations", "category_id", "1 object whose category_id is none of its categories' ids, such as none"),
    ],
)
def test_what_lacks_a_field_is_named(tmp_path: Path, key: str, field: str, message: str) -> None:
    content = simple()
    del content[key][0][field]
    with pytest.raises(DataError, match=message):
        open_dataset(write(tmp_path / "a.json", content))


def test_what_convolve_predicted_is_no_ground_truth_unless_it_is_given(tmp_path: Path) -> None:
    images = [PredictedImage(str(tmp_path / "7.png"), (6, 10), {})]
    content = simple(info=predicted_document(images, ("background", "car"))["info"])
    root = write(tmp_path / "b.json", content)
    with pytest.raises(DataError, match=r"b\.json is not read: convolve predicted it; give the file itself"):
        open_dataset(root)
    check_simple(open_dataset(root / "b.json"))
    (root / "b.json").rename(root / "instances_b.json")
    write(root / "a.json", document())
    data = open_dataset(root)
    assert masks_of(data).classes == ("background", "car", "bottle")
    assert (
        "instances_b.json is not read: convolve predicted it; give the file itself where it is meant as ground truth"
        in data.notes
    )


@pytest.mark.parametrize("outline", [[[]], [[2, 1, 8, 5]], [[], [1, 1]]])
def test_an_empty_outline_covers_nothing_and_is_counted(tmp_path: Path, outline: object) -> None:
    content = simple()
    content["annotations"][1]["segmentation"] = outline
    data = open_dataset(write(tmp_path / "a.json", content))
    assert masks_of(data).pixel_counts().tolist() == [[36, 24], [60, 0], [60, 0]]
    assert data.notes == ("not painted: 1 object with only an empty outline, such as in 8.png",)


def test_images_that_a_note_names_are_not_counted_again(tmp_path: Path) -> None:
    """Of the same id, and of another size than the file says."""
    content = simple()
    content["images"] += [{"id": 8, "file_name": "10.png"}, {"id": 11, "file_name": "11.png", "height": 7, "width": 10}]
    data = open_dataset(write(tmp_path / "annotations" / "instances.json", content, "images", (7, 8, 9, 10, 11, 12)))
    assert sorted(data.left_out) == ["images/10.png", "images/11.png", "images/8.png"]
    assert "1 of 6 images left out, such as images/12.png" in data.notes


@pytest.mark.parametrize("name", ["car", "boat"])
def test_objects_in_folders_of_classes_are_said_to_be_others(name: str, tmp_path: Path) -> None:
    """Unless each image has only objects of the class after which its folder is called."""
    content = simple(categories=[{"id": 3, "name": name}])
    content["images"] = content["images"][:2]
    write(tmp_path / "instances.json", content, "car", (7, 8))
    content["images"] += [{"id": 9, "file_name": "9.png"}]
    content["categories"] += [{"id": 4, "name": "plane"}]
    content["annotations"] += [{"image_id": 9, "category_id": 4, "segmentation": SQUARE, "area": 24}]
    data = open_dataset(write(tmp_path / "instances.json", content, "plane", (9,)))
    note = "folders was not taken: a folder for each of 2 classes; --layout folders reads these classes"
    assert (data.layout, note in data.notes) == ("coco", name == "boat")


def test_splits_are_the_folders_of_images_where_the_file_says_none(tmp_path: Path) -> None:
    content = simple()
    names = [image["file_name"] for image in content["images"]]
    for image, folder in zip(content["images"], ("train", "val"), strict=False):
        image["file_name"] = f"{folder}/{image['file_name']}"
    root = write(tmp_path / "train" / "a.json", content)
    for name, folder in zip(names, ("train", "val"), strict=False):
        (root / folder).mkdir()
        (root / name).rename(root / folder / name)
    data = open_dataset(root)
    assert {word: len(part) for word, part in data.given_splits.items()} == {"train": 2, "validation": 1}


def test_a_split_without_annotations_is_left_out_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "annotations" / "instances_train.json", simple(), "train")
    empty = simple(images=[{"id": 5, "file_name": "5.png", "height": 6, "width": 10}], annotations=[])
    write(tmp_path / "annotations" / "instances_val.json", empty, "val", (5,))
    data = open_dataset(tmp_path)
    first, second = data.notes
    assert first == (
        "annotations/instances_val.json is not read: it has no annotations; annotate its images, or list those "
        "without objects in a file that has some"
    )
    assert (len(data), second) == (3, "1 of 4 images left out, such as val/5.png")
