"""What is cut out of images around the boxes of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.box_crops import CropSource, crop_boxes, read_boxes
from convolve.datasets.crops import decode_whole, part_of
from convolve.datasets.image_sources import FileSource
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, OptionError

SIZE = (40, 60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "sub/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        Image.fromarray(np.stack([rows, columns, rows * 0], 2).astype(np.uint8)).save(tmp_path / name)
    return tmp_path


def _file(folder: Path, boxes: list[tuple[str, str, list[float]]], **changes: Any) -> Path:
    names, kinds = ["a.png", "sub/b.png", "c.png"], ["dog", "person"]
    document = {
        "images": [{"id": n, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for n, name in enumerate(names)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(kinds)],
        "annotations": [
            {"image_id": names.index(name), "category_id": kinds.index(kind), "bbox": box} for name, kind, box in boxes
        ],
    }
    (folder / "boxes.json").write_text(json.dumps(document | changes))
    return folder / "boxes.json"


def _source(folder: Path) -> FileSource:
    return FileSource(ImageFiles(folder, ("a.png", "sub/b.png", "c.png")))


def test_each_box_is_an_image_with_a_margin(folder: Path) -> None:
    path = _file(
        folder,
        [
            ("sub/b.png", "person", [10, 8, 20, 16]),
            ("a.png", "person", [0, 0, 20, 16]),
            ("a.png", "dog", [1, 1, 5, 5]),
            ("a.png", "person", [40, 20, 30, 30]),
        ],
    )
    source = CropSource(_source(folder), read_boxes(path, "person"), 0.25)
    assert (source.expected, source.is_stream, source.is_camera) == (3, False, False)
    parts = list(source.parts(2))
    crops = [(part.name(index), part.read(index)) for part in parts for index in range(len(part))]
    assert [name for name, _ in crops] == ["a.png#1", "a.png#2", "sub/b.png#1"]
    assert [pixels[0, 0, :2].tolist() for _, pixels in crops] == [[0, 0], [12, 32], [4, 5]]
    assert [pixels.shape[:2] for _, pixels in crops] == [(20, 25), (28, 28), (24, 30)]
    encoded = parts[0].open(1)
    part = part_of(parts[0], 1, encoded)
    assert (part.whole, part.size, part.corner) == ("a.png", SIZE, (32, 12))
    assert decode_whole(encoded).shape == (*SIZE, 3)


def test_boxes_outside_of_the_image_are_left_out() -> None:
    boxes = np.array([[-9, 2, -1, 9], [5, 2, 5.5, 9], [50, 30, 90, 90], [5.2, 2.9, 8.1, 6]], dtype=float)
    np.testing.assert_array_equal(crop_boxes(boxes, SIZE, 0), [[50, 30, 60, 40], [5, 2, 9, 6]])


def test_the_class_and_the_images_must_be_those_of_the_file(folder: Path) -> None:
    path = _file(folder, [("a.png", "dog", [1, 1, 9, 9]), ("a.png", "person", [1, 1, 9, 9])])
    with pytest.raises(OptionError, match="several classes; choose --box-class from dog, person"):
        read_boxes(path, None)
    with pytest.raises(OptionError, match="no box of the class 'cat'; choose --box-class from dog, person"):
        read_boxes(path, "cat")
    assert len(read_boxes(_file(folder, [("a.png", "dog", [1, 1, 9, 9])]), None).of_image("x/a.png", SIZE)) == 1
    boxes = read_boxes(_file(folder, [("a.png", "dog", [1, 1, 9, 9])]), "dog")
    with pytest.raises(DataError, match=r"d\.png is not in .*boxes\.json"):
        boxes.of_image("d.png", SIZE)
    with pytest.raises(DataError, match=r"a\.png has 60x80 pixels, and 60x40 in"):
        boxes.of_image("a.png", (80, 60))


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": [{"image_id": 0, "category_id": 0, "bbox": [1, 2, 3]}]},
        {"annotations": [{"image_id": 9, "category_id": 0, "bbox": [1, 2, 3, 4]}]},
        {"annotations": [7]},
        {"images": None},
    ],
)
def test_other_files_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no boxes in COCO's form"):
        read_boxes(_file(folder, [], **changes), "dog")
    (folder / "list.json").write_text("[]")
    with pytest.raises(DataError, match="no boxes in COCO's form"):
        read_boxes(folder / "list.json", "dog")
    with pytest.raises(DataError, match="cannot be opened"):
        read_boxes(folder / "none.json", "dog")
