"""LabelMe's files, one for each image."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import boxes_by_image, labels_of, masks_of
from tests.datasets.layouts.annotated import flags, make_images, pixels, write_json


def shape(label: str, points: list[list[float]], kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}} | more


def document(image: str, *shapes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": image,
        "imageData": None,
        "imageHeight": 6,
        "imageWidth": 10,
    } | more


SQUARE = shape("car", [[2, 1], [8, 1], [8, 5], [2, 5]])


def png(mask: np.ndarray[Any, Any]) -> str:
    stream = BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_polygons_circles_rectangles_and_masks(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"{name}.jpg" for name in "abcde"))
    write_json(tmp_path / "a.json", document("a.jpg", SQUARE))
    write_json(tmp_path / "b.json", document("b.jpg", shape("disc", [[3, 3], [5, 3]], "circle")))
    write_json(tmp_path / "c.json", document("c.jpg", shape("car", [[8, 5], [2, 1]], "rectangle"), SQUARE))
    corner = shape("disc", [[7, 4], [8, 5]], "mask", mask=png(np.array([[255, 0], [255, 255]])))
    write_json(tmp_path / "d.json", document("d.jpg", corner))
    write_json(tmp_path / "e.json", document("e.jpg"))
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes) == ("labelme", ("background", "car", "disc"))
    assert pixels(data) == {
        "a.jpg": [36, 24, 0],
        "b.jpg": [48, 0, 12],
        "c.jpg": [36, 24, 0],
        "d.jpg": [57, 0, 3],
        "e.jpg": [60, 0, 0],
    }
    assert masks_of(data).read(3)[4:, 7:].tolist() == [[2, 0, 0], [2, 2, 0]]
    assert labels_of(data).values.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [0, 0]]
    assert data.notes == ("painted as rectangles: 1 object with only a box, such as in c.jpg",)


def test_later_shapes_lie_on_top_and_what_is_ignored_is_no_class(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    small = shape("disc", [[3, 2], [5, 2], [5, 4], [3, 4]])
    hole = shape("_background_", [[2, 1], [4, 1], [4, 2], [2, 2]])
    void = shape("__ignore__", [[6, 1], [8, 1], [8, 2], [6, 2]])
    write_json(tmp_path / "a.json", document("a.jpg", small, SQUARE, hole, void))
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("background", "car", "disc")
    assert pixels(data) == {"a.jpg": [38, 20, 0]}
    assert np.count_nonzero(masks_of(data).read(0) == 255) == 2


def test_points_and_lines_are_counted(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    point, line = shape("eye", [[3, 3]], "point"), shape("edge", [[0, 0], [9, 5]], "line")
    write_json(tmp_path / "a.json", document("a.jpg", SQUARE, point, line))
    data = open_dataset(tmp_path)
    assert data.notes == (
        "not painted: 1 object with only a point, such as in a.jpg",
        "not painted: 1 object with only a line, such as in a.jpg",
    )
    assert pixels(data) == {"a.jpg": [36, 24, 0, 0]}
    assert flags(data) == {"a.jpg": [1, 1, 1]}


def test_the_image_is_the_one_of_the_path_or_else_of_the_same_name(tmp_path: Path) -> None:
    make_images(tmp_path, "images/train/a.jpg", "images/val/a.jpg", "images/train/b.jpg")
    write_json(tmp_path / "labels/train/a.json", document("..\\..\\images\\train\\a.jpg", SQUARE))
    write_json(tmp_path / "labels/train/b.json", document("IMG_0001.jpg"))
    write_json(tmp_path / "labels/val/a.json", document("a.jpg", SQUARE))
    write_json(tmp_path / "labels/val/z.json", document("z.jpg", SQUARE))
    data = open_dataset(tmp_path)
    assert pixels(data) == {"images/train/a.jpg": [36, 24], "images/train/b.jpg": [60, 0], "images/val/a.jpg": [36, 24]}
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 2, "validation": 1}
    assert data.notes == ("left out: 1 file without an image, such as labels/val/z.json",)


def test_what_hinders_reading_is_one_sentence(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    write_json(tmp_path / "a.json", document("a.jpg", {"points": []}))
    with pytest.raises(DataError, match=r"a\.json has a shape without label or with odd points \(1\.\); correct it"):
        open_dataset(tmp_path)
    write_json(tmp_path / "a.json", document("a.jpg", shape("car", [[1, 1], [5, 5]], "rectangle")))
    assert boxes_by_image(open_dataset(tmp_path)) == {"a.jpg": [("car", (1, 1, 5, 5))]}
    write_json(tmp_path / "a.json", document("a.jpg", shape("car", [[1, 1]], "point")))
    with pytest.raises(DataError, match=r"a\.json in .* has no outlines, but 1 object with only a point"):
        open_dataset(tmp_path)
    write_json(tmp_path / "a.json", document("a.jpg"))
    with pytest.raises(DataError, match=r"a\.json in .* has no object in any image; annotate some"):
        open_dataset(tmp_path)
    (tmp_path / "a.jpg").unlink()
    make_images(tmp_path, "other.jpg")
    with pytest.raises(DataError, match=r"holds none of the images of a\.json; put them there"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("label", ["", "  "])
def test_a_shape_without_a_label_is_no_class(tmp_path: Path, label: str) -> None:
    make_images(tmp_path, "a.jpg", "b.jpg")
    write_json(tmp_path / "a.json", document("a.jpg", SQUARE))
    write_json(tmp_path / "b.json", document("b.jpg", SQUARE, SQUARE | {"label": label}))
    with pytest.raises(DataError, match=r"b\.json has an object of b\.jpg without a label; give it one, or remove it"):
        open_dataset(tmp_path)


def test_a_file_beside_one_image_that_names_another_is_refused(tmp_path: Path) -> None:
    make_images(tmp_path, "0.png", "5.png")
    write_json(tmp_path / "0.json", document("5.png", SQUARE))
    with pytest.raises(
        DataError, match=r"0\.json has the imagePath 5\.png, but lies beside 0\.png; correct its imagePath"
    ):
        open_dataset(tmp_path)
    write_json(tmp_path / "0.json", document("0.png", SQUARE))
    assert masks_of(open_dataset(tmp_path)).classes == ("background", "car")
    (tmp_path / "0.json").rename(tmp_path / "new.json")  # the imagePath alone says it
    data = open_dataset(tmp_path)
    assert data.images.name(0) == "0.png"
