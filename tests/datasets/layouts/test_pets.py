"""The Oxford-IIIT pets: a part of the set, damaged lists (the official ones: tests/oracle), and trimaps: one folder,
two ground truths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.boxes import Boxes
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE
from tests.datasets.ground_truths import labels_of, masks_of


def put(root: Path, *lines: str) -> Path:
    (root / "images").mkdir()
    (root / "annotations").mkdir()
    (root / "annotations" / "list.txt").write_text("#Image CLASS-ID\n" + "\n".join(lines))
    return root


def test_part_of_the_set(tmp_path: Path) -> None:
    data = open_dataset(put(tmp_path, "Bengal_3 6 1 2", "american_bulldog_10 2 2 1", "Bengal_4 6 1 2"))
    assert labels_of(data).classes == ("american bulldog", "Bengal")
    assert labels_of(data).values.tolist() == [1, 0, 1]
    assert data.images.name(1) == "images/american_bulldog_10.jpg"
    assert (data.given_splits, data.layout) == ({}, "pets")


def test_a_damaged_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"list\.txt has a line that is not 'name class species breed': 'Bengal_4'"):
        open_dataset(put(tmp_path, "Bengal_3 6 1 2", "Bengal_4"))


def test_another_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has none of the known layouts"):
        open_dataset(put(tmp_path, "milk", "bread"))


TRIMAP = np.array([[1, 1, 3, 2, 2], [1, 3, 3, 2, 2], [3, 2, 2, 2, 2]], dtype=np.uint8)
NAMES = ("Bengal_3", "american_bulldog_10", "Bengal_4", "Bengal_20")


def put_trimaps(root: Path) -> Path:
    for folder in ("images", "annotations/trimaps"):
        (root / folder).mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (5, 3)).save(root / "images" / f"{name}.jpg")
        Image.fromarray(TRIMAP).save(root / "annotations" / "trimaps" / f"{name}.png")
    (root / "annotations" / "trainval.txt").write_text("Bengal_3 6 1 2\namerican_bulldog_10 2 2 1\nBengal_4 6 1 2\n")
    (root / "annotations" / "test.txt").write_text("Bengal_20 6 1 2\n")
    return root


def test_breeds_and_trimaps_are_two_ground_truths(tmp_path: Path) -> None:
    data = open_dataset(put_trimaps(tmp_path / "wrapped" / "pets").parent)
    assert (data.layout, list(data.ground_truths)) == ("pets", ["labels", "masks"])
    assert labels_of(data).classes == ("american bulldog", "Bengal")
    assert labels_of(data).values.tolist() == [1, 0, 1, 1]
    masks = masks_of(data)
    assert masks.classes == ("background", "pet")
    assert masks.read(0).tolist() == [[1, 1, IGNORE, 0, 0], [1, IGNORE, IGNORE, 0, 0], [IGNORE, 0, 0, 0, 0]]
    assert masks.pixel_counts().tolist() == [[8, 3]] * 4
    assert data.for_ground_truth("masks") is data
    assert {word: part.tolist() for word, part in data.given_splits.items()} == {"train": [0, 1, 2], "test": [3]}
    assert data.images.name(1) == "images/american_bulldog_10.jpg"
    assert "1 is pet, 2 background, 3, the border, is ignored" in data.reason


def test_images_without_a_trimap_are_named_and_keep_their_breed(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path)
    (root / "annotations" / "trimaps" / "american_bulldog_10.png").unlink()
    Image.fromarray(np.full((3, 5), 2, np.uint8)).save(root / "annotations" / "trimaps" / "Bengal_4.png")
    data = open_dataset(root)
    assert data.notes == ("1 images have no trimap, such as images/american_bulldog_10.jpg",)
    assert len(data) == 4
    assert data.for_ground_truth("labels") is data
    part = data.for_ground_truth("masks")
    assert [part.images.name(index) for index in range(3)] == [f"images/{NAMES[index]}.jpg" for index in (0, 2, 3)]
    assert labels_of(part).values.tolist() == [1, 1, 1]
    assert masks_of(part).pixel_counts().tolist() == [[8, 3], [15, 0], [8, 3]]
    assert {word: part.tolist() for word, part in part.given_splits.items()} == {"train": [0, 1], "test": [2]}


def test_another_value_is_no_trimap(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path)
    Image.fromarray(TRIMAP + 5).save(root / "annotations" / "trimaps" / "Bengal_4.png")
    masks = masks_of(open_dataset(root))
    with pytest.raises(ImageError, match=r"Bengal_4\.png holds the value 6, which names no class"):
        masks.read(2)


def test_where_there_are_no_trimaps_the_breeds_are_all_there_is(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path)
    for path in (root / "annotations" / "trimaps").iterdir():
        path.unlink()
    assert list(open_dataset(root).ground_truths) == ["labels"]


def put_head(root: Path, name: str, *boxes: tuple[int, int, int, int], content: str | None = None) -> None:
    """An annotation whose class is the species, as in the set."""
    folder = root / "annotations" / "xmls"
    folder.mkdir(exist_ok=True)
    objects = "".join(
        f"<object><name>cat</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        "</bndbox></object>"
        for left, top, right, bottom in boxes
    )
    text = f"<annotation><size><width>5</width><height>3</height></size>{objects}</annotation>"
    (folder / f"{name}.xml").write_text(text if content is None else content)


def test_boxes_around_heads_have_the_breed_as_their_class(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path / "wrapped" / "pets")
    put_head(root, "american_bulldog_10", (1, 1, 2, 3))
    put_head(root, "Bengal_4", (2, 1, 4, 3), (1, 2, 2, 3))
    data = open_dataset(tmp_path / "wrapped")
    assert list(data.ground_truths) == ["labels", "masks", "boxes"]
    boxes = data.ground_truths["boxes"]
    assert isinstance(boxes, Boxes)
    assert boxes.classes == labels_of(data).classes == ("american bulldog", "Bengal")
    assert boxes.first.tolist() == [0, 0, 1, 3, 3]
    assert boxes.boxes.tolist() == [[0, 0, 2, 3], [1, 0, 4, 3], [0, 1, 2, 3]]
    assert boxes.class_indices.tolist() == [0, 1, 1]
    assert boxes.covers.tolist() == [False, True, True, False]
    assert boxes.sizes[1:3].tolist() == [[3, 5], [3, 5]]
    assert "annotations/xmls with boxes around heads, whose class is the breed" in data.reason


def test_a_box_that_cannot_be_read_leaves_the_breed(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path)
    put_head(root, "Bengal_3", content="<annotation><object>")
    with pytest.raises(DataError, match=r"annotations .* cannot be read"):
        open_dataset(root)
