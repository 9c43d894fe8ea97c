"""Pascal VOC's trees of boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.datasets import VOCDetection

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import boxes_by_image, boxes_of, labels_of
from tests.datasets.layouts.annotated import flags
from tests.datasets.layouts.boxed import Box, make_pictures, put_text, write_voc

BCCD = Path(__file__).parents[4] / "shared" / "data" / "bccd"
CAT: Box = ("cat", 1, 2, 5, 6)
DOG: Box = ("dog", 0, 0, 40, 20)


def tree(root: Path, **boxes: list[Box]) -> Path:
    """As the challenge has it, without lists."""
    for name, found in boxes.items():
        make_pictures(root, f"JPEGImages/{name}.jpg")
        write_voc(root / f"Annotations/{name}.xml", found)
    return root


def splits(data: Dataset) -> dict[str, list[str]]:
    return {name: [data.images.name(row) for row in part.tolist()] for name, part in data.given_splits.items()}


def test_boxes_labels_and_images_without_objects(tmp_path: Path) -> None:
    data = open_dataset(tree(tmp_path, a=[CAT, DOG], b=[], c=[DOG]))
    assert (data.layout, set(data.ground_truths), data.notes) == ("voc", {"boxes", "labels"}, ())
    assert boxes_by_image(data) == {
        "JPEGImages/a.jpg": [("cat", (1, 2, 5, 6)), ("dog", (0, 0, 40, 20))],
        "JPEGImages/b.jpg": [],
        "JPEGImages/c.jpg": [("dog", (0, 0, 40, 20))],
    }
    assert flags(data) == {"JPEGImages/a.jpg": [1, 1], "JPEGImages/b.jpg": [0, 0], "JPEGImages/c.jpg": [0, 1]}
    assert data.reason == "3 files of Pascal VOC, such as Annotations/a.xml; 3 images with 3 objects in boxes"


def test_the_lists_are_the_splits_and_whole_lines_are_names(tmp_path: Path) -> None:
    tree(tmp_path, a=[CAT], b=[DOG])
    tree(tmp_path, **{"my photo 1": [CAT]})
    put_text(tmp_path / "ImageSets/Main/train.txt", "a\n")
    put_text(tmp_path / "ImageSets/Main/val.txt", "my photo 1\n")
    put_text(tmp_path / "ImageSets/Main/trainval.txt", "a\nmy photo 1\n")
    put_text(tmp_path / "ImageSets/Main/cat_train.txt", "a  1\nb -1\n")
    data = open_dataset(tmp_path)
    assert splits(data) == {"train": ["JPEGImages/a.jpg"], "validation": ["JPEGImages/my photo 1.jpg"]}
    assert data.notes == ("in none of ImageSets/Main: 1 image, such as JPEGImages/b.jpg",)
    put_text(tmp_path / "ImageSets/Main/test.txt", "b\na\n")
    assert "in several of ImageSets/Main, so in no split: a" in open_dataset(tmp_path).notes


def test_trainval_is_for_training_where_nothing_divides_it(tmp_path: Path) -> None:
    tree(tmp_path, a=[CAT], b=[DOG])
    put_text(tmp_path / "ImageSets/Main/trainval.txt", "a -1\n")
    put_text(tmp_path / "ImageSets/Main/test.txt", "b\n")
    assert splits(open_dataset(tmp_path)) == {"train": ["JPEGImages/a.jpg"], "test": ["JPEGImages/b.jpg"]}


def test_files_next_to_images_in_folders_of_splits(tmp_path: Path) -> None:
    for split, box in (("train", CAT), ("valid", DOG)):
        make_pictures(tmp_path, f"{split}/1.jpg", f"{split}/2.jpg")
        write_voc(tmp_path / f"{split}/1.xml", [box])
        write_voc(tmp_path / f"{split}/2.xml", [])
    data = open_dataset(tmp_path)
    assert splits(data) == {"train": ["train/1.jpg", "train/2.jpg"], "validation": ["valid/1.jpg", "valid/2.jpg"]}
    assert boxes_by_image(data)["valid/1.jpg"] == [("dog", (0, 0, 40, 20))]


def test_difficult_objects_are_known(tmp_path: Path) -> None:
    tree(tmp_path, a=[CAT])
    write_voc(tmp_path / "Annotations/a.xml", [CAT, DOG, CAT], difficult=[1])
    boxes = boxes_of(open_dataset(tmp_path))
    assert boxes.difficult.tolist() == [False, True, False]
    assert boxes.findings.counts["difficult"].tolist() == [[0, 1]]


def test_boxes_that_are_none_are_left_out_by_name(tmp_path: Path) -> None:
    point, line = ("cat", 3, 3, 4, 4), ("cat", 3, 3, 4, 9)  # whose first pixel is the last one too
    tree(tmp_path, a=[CAT, point], b=[line, ("cat", 9, 2, 3, 6)], c=[("dog", 50, 2, 60, 6)], d=[("cat", -5, 0, 44, 20)])
    data = open_dataset(tmp_path)
    inverted = "whose box is inverted, as its right or lower edge lies before the other one"
    assert data.notes == (
        "left out: 2 objects whose box has no area, such as in JPEGImages/a.jpg, JPEGImages/b.jpg",
        f"left out: 1 object {inverted}, such as in JPEGImages/b.jpg",
        "left out: 1 object whose box lies outside of the image, such as in JPEGImages/c.jpg",
        "cut at the edge of the image: the box of 1 object, such as in JPEGImages/d.jpg",
    )
    assert boxes_by_image(data) == {
        "JPEGImages/a.jpg": [("cat", (1, 2, 5, 6))],
        "JPEGImages/b.jpg": [],
        "JPEGImages/c.jpg": [],
        "JPEGImages/d.jpg": [("cat", (0, 0, 40, 20))],
    }


def test_a_pixel_beyond_the_image_is_rounding(tmp_path: Path) -> None:
    data = open_dataset(tree(tmp_path, a=[("cat", -1, 0, 41, 20)]))  # as from programs that count from 0
    assert (boxes_by_image(data)["JPEGImages/a.jpg"], data.notes) == ([("cat", (0, 0, 40, 20))], ())


def test_fractions_are_no_pixels(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    write_voc(tmp_path / "a.xml", [("cat", -0.9, -0.8, 0.4, 0.5)])
    write_voc(tmp_path / "b.xml", [("cat", 2, 2, 10, 6)])
    with pytest.raises(DataError, match=r"a\.xml has boxes that are fractions of the image"):
        open_dataset(tmp_path)
    write_voc(tmp_path / "a.xml", [("cat", 0, 0, 1, 1)])
    assert boxes_by_image(open_dataset(tmp_path))["a.jpg"] == []  # its first pixel is its last one


def test_the_name_of_the_file_counts_not_the_one_inside(tmp_path: Path) -> None:
    tree(tmp_path, a=[CAT], b=[DOG])
    write_voc(tmp_path / "Annotations/a.xml", [CAT], filename="b.jpg")
    data = open_dataset(tmp_path)
    assert boxes_by_image(data)["JPEGImages/a.jpg"] == [("cat", (1, 2, 5, 6))]
    what = "the filename inside is another image than the file is called, which counts"
    assert data.notes == (f"{what}: 1 file, such as Annotations/a.xml (b.jpg)",)
    (tmp_path / "Annotations/a.xml").rename(tmp_path / "Annotations/0007.xml")
    (tmp_path / "JPEGImages/a.jpg").rename(tmp_path / "JPEGImages/c.jpg")
    write_voc(tmp_path / "Annotations/0007.xml", [CAT], filename="c.jpg")
    assert boxes_by_image(open_dataset(tmp_path))["JPEGImages/c.jpg"] == [("cat", (1, 2, 5, 6))]


def test_a_damaged_file_leaves_its_image_out_unless_many_are_damaged(tmp_path: Path) -> None:
    tree(tmp_path, **{name: [CAT] for name in "abcdefghijk"})
    put_text(tmp_path / "Annotations/b.xml", "<annotation><object>")
    data = open_dataset(tmp_path)
    assert (len(data), data.left_out) == (10, ("JPEGImages/b.jpg",))
    (note,) = data.notes
    assert note.startswith("left out: 1 image whose annotation cannot be read: ")
    assert "b.xml is not an annotation in Pascal VOC's format" in note
    put_text(tmp_path / "Annotations/c.xml", "<annotation><object>")
    with pytest.raises(DataError, match=r"2 of 11 annotations in .* cannot be read, more than 10%; .*b\.xml is not"):
        open_dataset(tmp_path)
    for name in "abcdefghijk":
        put_text(tmp_path / f"Annotations/{name}.xml", "<annotation><object>")
    with pytest.raises(DataError, match=r"a\.xml is not an annotation in Pascal VOC's format"):
        open_dataset(tmp_path)


def test_files_without_images_and_images_without_files_are_named(tmp_path: Path) -> None:
    tree(tmp_path, a=[CAT], b=[DOG])
    (tmp_path / "JPEGImages/b.jpg").unlink()
    make_pictures(tmp_path, "JPEGImages/c.jpg")
    assert open_dataset(tmp_path).notes == (
        "left out: 1 file without an image, such as Annotations/b.xml",
        "1 of 2 images left out, such as JPEGImages/c.jpg",
    )
    (tmp_path / "JPEGImages/a.jpg").unlink()
    with pytest.raises(DataError, match=r"holds none of the images of Annotations/a\.xml, Annotations/b\.xml"):
        open_dataset(tmp_path, ReadingOptions(layout="voc"))


def test_an_object_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Annotations/a\.xml has an object of JPEGImages/a\.jpg without a label"):
        open_dataset(tree(tmp_path, a=[("", 1, 1, 5, 5)]))


def test_labels_and_masks_of_others_stay(tmp_path: Path) -> None:
    """A table says the classes of the images, files next to them the boxes."""
    make_pictures(tmp_path, *(f"{number}.jpg" for number in range(4)))
    put_text(tmp_path / "labels.csv", "path,label\n0.jpg,day\n1.jpg,night\n2.jpg,day\n3.jpg,night\n")
    for number in range(3):
        write_voc(tmp_path / f"{number}.xml", [CAT])
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).classes, boxes_of(data).classes) == ("table", ("day", "night"), ("cat",))
    assert boxes_of(data).covers.tolist() == [True, True, True, False]
    assert len(data.for_ground_truth("boxes")) == 3
    assert "boxes of 3 of its images: 3 files of Pascal VOC" in data.reason


def test_as_torchvision_reads_them(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2007"
    tree(root, a=[CAT, DOG], b=[], c=[DOG])
    put_text(root / "ImageSets/Main/train.txt", "a\nb\nc\n")
    compare_with_torchvision(open_dataset(root), VOCDetection(tmp_path, "2007", "train"))


def compare_with_torchvision(data: Dataset, peer: VOCDetection) -> None:
    """Where a box has an area there."""
    found = boxes_by_image(data)
    for index in range(len(peer)):
        _, target = peer[index]
        theirs = []
        for one in target["annotation"].get("object", []):
            left, top, right, bottom = (float(one["bndbox"][edge]) for edge in ("xmin", "ymin", "xmax", "ymax"))
            theirs += [(one["name"], (left - 1, top - 1, right, bottom))] if right > left and bottom > top else []
        assert found[f"JPEGImages/{target['annotation']['filename']}"] == theirs


@pytest.mark.skipif(not BCCD.is_dir(), reason="needs the shared datasets")
def test_a_real_set_of_blood_cells(tmp_path: Path) -> None:
    data = open_dataset(BCCD)
    assert (len(data), labels_of(data).classes) == (364, ("Platelets", "RBC", "WBC"))
    assert {name: len(part) for name, part in data.given_splits.items()} == {"train": 205, "validation": 87, "test": 72}
    assert boxes_of(data).counts().sum(0).tolist() == [361, 4153, 372]
    images = "JPEGImages/BloodImage_00338.jpg, JPEGImages/BloodImage_00343.jpg"
    assert data.notes == (f"left out: 2 objects whose box has no area, such as in {images}",)
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit" / "VOC2012").symlink_to(BCCD)
    compare_with_torchvision(data, VOCDetection(tmp_path, "2012", "trainval"))
