"""YOLO's text files in the trees of Ultralytics, Roboflow and Darknet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import boxes_by_image, boxes_of, labels_of
from tests.datasets.layouts.boxed import HEIGHT, WIDTH, Box, make_pictures, put_text, yolo_lines

COCO_YOLO = Path(__file__).parents[4] / "shared" / "data" / "coco_yolo"
CAT: Box = ("cat", 2, 2, 10, 6)
DOG: Box = ("dog", 0, 0, 40, 20)
NAMES = "names: [cat, dog]\n"
Tree = Callable[[Path], Path]


def ultralytics(root: Path) -> Path:
    """`images/train` and `labels/train`, as `data.yaml` says."""
    for split, number, box in (("train", 0, CAT), ("val", 1, DOG)):
        make_pictures(root, f"images/{split}/{number}.jpg", f"images/{split}/none.jpg")
        put_text(root / f"labels/{split}/{number}.txt", yolo_lines([number], [box]))
    yaml = f"path: ../datasets/pets  # of another machine\ntrain: images/train\nval: images/val\ntest:\n{NAMES}"
    put_text(root / "data.yaml", yaml)
    return root


def roboflow(root: Path) -> Path:
    """`train/images` and `train/labels`, with paths that lead out of the folder."""
    for split, number, box in (("train", 0, CAT), ("valid", 1, DOG)):
        make_pictures(root, f"{split}/images/{number}.jpg", f"{split}/images/none.jpg")
        put_text(root / f"{split}/labels/{number}.txt", yolo_lines([number], [box]))
        put_text(root / f"{split}/labels/none.txt", "")
    put_text(
        root / "data.yaml", f"train: ../train/images\nval: ../valid/images\n\nnc: 2\n{NAMES}roboflow:\n  version: 1\n"
    )
    put_text(root / "README.dataset.txt", "# pets > 2024\nProvided by someone\n")
    return root


def splits(data: Dataset) -> dict[str, list[str]]:
    return {name: [data.images.name(row) for row in part.tolist()] for name, part in data.given_splits.items()}


def test_the_tree_of_ultralytics(tmp_path: Path) -> None:
    data = open_dataset(ultralytics(tmp_path))
    assert (data.layout, set(data.ground_truths)) == ("yolo", {"boxes", "labels"})
    assert boxes_by_image(data) == {
        "images/train/0.jpg": [("cat", (2, 2, 10, 6))],
        "images/train/none.jpg": [],
        "images/val/1.jpg": [("dog", (0, 0, 40, 20))],
        "images/val/none.jpg": [],
    }
    assert splits(data) == {
        "train": ["images/train/0.jpg", "images/train/none.jpg"],
        "validation": ["images/val/1.jpg", "images/val/none.jpg"],
    }
    none = "images/train/none.jpg, images/val/none.jpg"
    assert data.notes == (f"no label file, so no objects: 2 images, such as {none}",)
    assert data.reason.startswith("2 files of YOLO, such as labels/train/0.txt; classes of data.yaml; 4 images with 2")


def test_the_tree_of_roboflow(tmp_path: Path) -> None:
    data = open_dataset(roboflow(tmp_path))
    assert boxes_by_image(data)["train/images/0.jpg"] == [("cat", (2, 2, 10, 6))]
    assert {name: len(part) for name, part in splits(data).items()} == {"train": 2, "validation": 2}
    assert (data.notes, labels_of(data).values.tolist()) == ((), [[1, 0], [0, 0], [0, 1], [0, 0]])


def test_the_tree_of_darknet(tmp_path: Path) -> None:
    """Label files next to the images, names in `obj.names`, splits in lists of paths."""
    make_pictures(tmp_path, "obj/a.jpg", "obj/b.jpg", "obj/c.jpg")
    for name, box in (("a", CAT), ("b", DOG)):
        put_text(tmp_path / f"obj/{name}.txt", yolo_lines([1], [box]))
    put_text(tmp_path / "obj.names", "dog\n고양이\n")
    put_text(tmp_path / "obj.data", "classes = 2\nnames = data/obj.names\n")
    put_text(tmp_path / "train.txt", "data/obj/a.jpg\ndata/obj/b.jpg\n")
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("dog", "고양이")
    assert boxes_by_image(data) == {
        "obj/a.jpg": [("고양이", (2, 2, 10, 6))],
        "obj/b.jpg": [("고양이", (0, 0, 40, 20))],
        "obj/c.jpg": [],
    }


def test_label_img_puts_the_classes_next_to_the_labels(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg")
    put_text(tmp_path / "a.txt", yolo_lines([1, 0], [CAT, DOG]))
    put_text(tmp_path / "classes.txt", "dog\ncat\n")
    data = open_dataset(tmp_path)
    assert boxes_by_image(data) == {"a.jpg": [("cat", (2, 2, 10, 6)), ("dog", (0, 0, 40, 20))]}
    assert data.sources == ("classes.txt",)


def test_empty_lines_count_only_after_the_last_name(tmp_path: Path) -> None:
    """labelImg and Darknet count those between names, and others do not."""
    make_pictures(tmp_path, "a.jpg")
    put_text(tmp_path / "a.txt", yolo_lines([1, 0], [CAT, DOG]))
    for text in ("dog\n\ncat\nbird\n", "\ndog\ncat\n", "dog\n \t\ncat\n"):
        put_text(tmp_path / "classes.txt", text)
        with pytest.raises(DataError, match="has an empty line before a name, which may count as a class or not"):
            open_dataset(tmp_path)
    put_text(tmp_path / "classes.txt", "dog\r\ncat\r\n\r\n  \r\n")
    assert labels_of(open_dataset(tmp_path)).classes == ("dog", "cat")


def test_lists_of_the_same_classes_in_another_order_are_refused(tmp_path: Path) -> None:
    ultralytics(tmp_path)
    put_text(tmp_path / "labels/train/classes.txt", "cat\ndog\n")
    assert labels_of(open_dataset(tmp_path)).classes == ("cat", "dog")
    put_text(tmp_path / "labels/train/classes.txt", "person\ncar\n")  # what a program proposes
    assert labels_of(open_dataset(tmp_path)).classes == ("cat", "dog")
    put_text(tmp_path / "labels/train/classes.txt", "dog\ncat\n")
    with pytest.raises(DataError, match=r"data\.yaml and .*classes\.txt list the same classes in another order"):
        open_dataset(tmp_path)


def test_images_that_share_a_label_file_are_named(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/a.png", "images/b.jpg")
    for name in ("a", "b"):
        put_text(tmp_path / f"labels/{name}.txt", yolo_lines([0], [CAT]))
    put_text(tmp_path / "classes.txt", "cat\n")
    assert open_dataset(tmp_path).notes == (
        "several images have one label file: labels/a.txt (images/a.jpg and images/a.png)",
    )


@pytest.mark.parametrize(
    "names",
    [
        "names: [no, 'yes', 3]",
        "names:\n  0: no\n  1: yes\n  2: 3",
        "names:\n- no\n- yes\n- '3'\nnc: 3",
        "names: {2: 3, 0: no, 1: yes}",
    ],
)
def test_names_are_text_whatever_yaml_makes_of_them(names: str, tmp_path: Path) -> None:
    ultralytics(tmp_path)
    put_text(tmp_path / "data.yaml", f"{names}\n")
    assert boxes_of(open_dataset(tmp_path)).classes == ("no", "yes", "3")


def test_numbers_with_gaps(tmp_path: Path) -> None:
    ultralytics(tmp_path)
    put_text(tmp_path / "data.yaml", "names:\n  90: bus\n  1: dog\n  0: cat\n")
    assert boxes_of(open_dataset(tmp_path)).classes == ("cat", "dog", "bus")


def test_without_a_list_classes_are_called_by_their_numbers(tmp_path: Path) -> None:
    (ultralytics(tmp_path) / "data.yaml").unlink()
    data = open_dataset(tmp_path)
    assert boxes_of(data).classes == ("class 0", "class 1")
    assert "there is no data.yaml or classes.txt, so the classes are called by their numbers" in data.notes
    assert list(splits(data)) == ["train", "validation"]


def test_polygons_and_keypoints_have_boxes(tmp_path: Path) -> None:
    ultralytics(tmp_path)
    put_text(tmp_path / "labels/train/0.txt", "0 0.1 0.2 0.5 0.1 0.3 0.9\n1 0.05 0.1 0.25 0.1 0.25 0.3 0.05 0.3\n")
    assert boxes_by_image(open_dataset(tmp_path))["images/train/0.jpg"] == [
        ("cat", (4, 2, 20, 18)),
        ("dog", (2, 2, 10, 6)),
    ]
    pose = "0 0.15 0.2 0.2 0.2 0.9 0.9 2 0.1 0.1 1\n"
    put_text(tmp_path / "labels/train/0.txt", pose)
    put_text(tmp_path / "labels/val/1.txt", pose)
    put_text(tmp_path / "data.yaml", f"kpt_shape: [2, 3]\n{NAMES}")
    assert boxes_by_image(open_dataset(tmp_path))["images/train/0.jpg"] == [("cat", (2, 2, 10, 6))]


def test_images_whose_labels_are_nowhere_are_left_out(tmp_path: Path) -> None:
    """No file in the folder of their labels is no sign that they have no objects."""
    make_pictures(ultralytics(tmp_path), "images/test/x.jpg")
    data = open_dataset(tmp_path)
    assert "images/test/x.jpg" not in boxes_by_image(data)
    assert "1 of 5 images left out, such as images/test/x.jpg" in data.notes


def test_labels_without_images_are_named(tmp_path: Path) -> None:
    put_text(ultralytics(tmp_path) / "labels/val/77.txt", yolo_lines([0], [CAT]))
    assert "left out: 1 label file without an image, such as labels/val/77.txt" in open_dataset(tmp_path).notes


def test_splits_that_are_the_same_are_none(tmp_path: Path) -> None:
    """As in the small samples of COCO that are for a first try."""
    put_text(ultralytics(tmp_path) / "data.yaml", f"path: coco\ntrain: images/train\nval: images/train\n{NAMES}")
    data = open_dataset(tmp_path)
    assert splits(data) == {}
    same = "images/train/0.jpg, images/train/none.jpg"
    assert f"data.yaml puts 2 images into train and validation, so into no split: {same}" in data.notes


def test_splits_by_lists_and_folders_that_are_not_there(tmp_path: Path) -> None:
    ultralytics(tmp_path)
    put_text(tmp_path / "val.txt", "./images/val/1.jpg\n")
    put_text(tmp_path / "data.yaml", f"train: [images/train]\nval: val.txt\ntest: images/nowhere\n{NAMES}")
    data = open_dataset(tmp_path)
    assert splits(data) == {
        "train": ["images/train/0.jpg", "images/train/none.jpg"],
        "validation": ["images/val/1.jpg"],
    }
    assert "not there, although data.yaml names it: images/nowhere" in data.notes


def test_a_damaged_file_leaves_its_image_out(tmp_path: Path) -> None:
    ultralytics(tmp_path)
    make_pictures(tmp_path, *(f"images/train/more{number}.jpg" for number in range(9)))
    put_text(tmp_path / "labels/train/0.txt", "0 0.5 0.5 0.2\n")
    data = open_dataset(tmp_path)
    assert data.left_out == ("images/train/0.jpg",)
    assert (
        "0.txt is not a label file of YOLO (a line has 4 numbers, neither 5 nor those of a polygon)" in data.notes[-1]
    )


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        (
            "data.yaml",
            "names: [cat]\n",
            r"1\.txt has an object of class 1, but data\.yaml has 1 name, for 0",
        ),
        ("data.yaml", "names: [cat, cat]\n", r"data\.yaml does not list classes .*the name 'cat' is there twice"),
        ("data.yaml", "names: [cat, dog]\nnc: 3\n", "nc is 3, but there are 2 names"),
        ("data.yaml", "names: 7\n", "names are neither a list nor a mapping"),
        ("data.yaml", "names: &a [cat]\nx: *a\n", "it has aliases, which no list of classes needs"),
        ("data.yaml", "names: [cat\n", r"data\.yaml does not list classes as YOLO's data\.yaml does"),
        ("other.yaml", "names: [dog, cat]\n", r"data\.yaml and .*other\.yaml list different classes; remove one"),
    ],
)
def test_what_hinders_reading_is_one_sentence(file: str, text: str, why: str, tmp_path: Path) -> None:
    put_text(ultralytics(tmp_path) / file, text)
    with pytest.raises(DataError, match=why):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 12 8 4 4\n", "a number is too large, or none"),
        ("0 0.5 0.5 0.1 0.1 0.98\n", "6 numbers, as predictions with a score have"),
    ],
)
def test_pixels_and_predictions_are_no_labels(line: str, why: str, tmp_path: Path) -> None:
    ultralytics(tmp_path)
    for name in ("train/0", "val/1"):
        put_text(tmp_path / f"labels/{name}.txt", line)
    put_text(tmp_path / "labels/train/none.txt", yolo_lines([0], [CAT]))
    with pytest.raises(DataError, match=rf"2 of 4 annotations .* cannot be read, more than 10%; .*{why}"):
        open_dataset(tmp_path)


def test_texts_of_words_are_no_labels(tmp_path: Path) -> None:
    """Captions next to images of classes."""
    make_pictures(tmp_path, "cat/1.jpg", "dog/2.jpg")
    put_text(tmp_path / "cat/1.txt", "a cat on a mat\n")
    put_text(tmp_path / "dog/2.txt", "5 dogs of 5 breeds\n")
    assert open_dataset(tmp_path).layout == "folders"


@pytest.mark.skipif(not COCO_YOLO.is_dir(), reason="needs the shared datasets")
@pytest.mark.parametrize("name", ["object_detection", "instance_segmentation"])
def test_a_real_set_whose_images_are_in_a_folder_next_to_it(name: str) -> None:
    data = open_dataset(COCO_YOLO / name)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 16, "validation": 8}
    assert data.images.name(0) == "../images/train2017/000000000009.jpg"
    assert len(boxes_of(data).boxes) == 126
    assert data.images.size(0) == (480, 640)
    by_box = boxes_of(open_dataset(COCO_YOLO / "object_detection"))
    shared = [name for name in by_box.classes if name in boxes_of(data).classes]
    differing = boxes_of(data).with_classes(shared).counts() - by_box.with_classes(shared).counts()
    assert abs(differing).sum() <= 2  # the two have another class for one object each


@pytest.mark.parametrize("tree", [ultralytics, roboflow])
@pytest.mark.parametrize("named", [True, False])
def test_label_files_that_are_all_empty_are_a_dataset_without_objects(tree: Tree, named: bool, tmp_path: Path) -> None:
    tree(tmp_path)
    for path in tmp_path.rglob("labels/**/*.txt"):
        path.write_text(" \n")
    if not named:
        (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"is a detection dataset without objects, as all of its label files, such as "):
        open_dataset(tmp_path)


def test_a_few_label_files_with_objects_among_many_that_are_empty(tmp_path: Path) -> None:
    for number in range(300):
        make_pictures(tmp_path, f"{number:03}.png")
        put_text(tmp_path / f"{number:03}.txt", yolo_lines([0], [CAT]) if number in (1, 2) else "")
    found = boxes_by_image(open_dataset(tmp_path))
    assert [image for image, boxes in found.items() if boxes] == ["001.png", "002.png"]


@pytest.mark.parametrize("lines", ["0 0 0 ground\n128 0 0 disc\n", "0 ground\n1 disc\n", "ground\ndisc\n"])
def test_text_files_beside_masks_make_no_images_of_the_masks(lines: str, tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:8, 3:9] = 1
    for number in range(3):
        make_pictures(tmp_path, f"{number}.jpg", f"extra_{number}.jpg")
        Image.fromarray(mask).save(tmp_path / f"{number}_mask.png")
        put_text(tmp_path / f"{number}.txt", "0 0.5 0.5 0.2 0.2\n")
    put_text(tmp_path / "labels.txt", lines)
    data = open_dataset(tmp_path)
    assert (data.layout, list(data.images.names)) == ("masks", ["0.jpg", "1.jpg", "2.jpg"])  # type: ignore[attr-defined]
    assert data.ground_truths["masks"].classes == ("ground", "disc")
