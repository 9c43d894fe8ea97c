"""Which of the layouts a folder has: archives as they are unpacked, several readings, and options."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.inventory import take_inventory
from convolve.datasets.layouts import masks, open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.layouts.annotated import make_images, write_json

PREDICTED = "image,label,confidence,error\n{0},cat,0.9,\n"


def splits(data: Dataset) -> dict[str, list[str]]:
    return {word: [data.images.name(index) for index in part] for word, part in data.given_splits.items()}


def make_masks(root: Path, *names: str, shape: tuple[int, int] = (6, 10)) -> None:
    """Masks of two classes, as large as images."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape) // 30).save(root / name)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("predictions.csv", PREDICTED.format("animals/cat/1.jpg")),
        ("sample_submission.csv", "path,label\nanimals/cat/1.jpg,0\nanimals/dog/2.jpg,1\n"),
        ("README.csv", "file,class\nanimals/cat/1.jpg,an example\n"),
        ("sources.csv", "author,license,url\nKim,CC0,https://example.org/7.jpg\nLee,CC0,https://example.org/8.jpg\n"),
    ],
)
def test_an_archive_next_to_a_table_that_is_no_ground_truth(table: str, text: str, tmp_path: Path) -> None:
    make_images(tmp_path, *(f"animals/{name}/{number}.jpg" for number in (1, 2) for name in ("cat", "dog")), "plot.png")
    (tmp_path / table).write_text(text)
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).classes, len(data)) == ("folders", ("cat", "dog"), 4)
    assert any(note.startswith("table was not taken:") and table in note for note in data.notes)
    assert "left out: 1 images next to animals/, such as plot.png" in data.notes


def test_a_table_of_the_images_in_the_only_folder_is_not_passed_over(tmp_path: Path) -> None:
    make_images(tmp_path, "images/2019/1.jpg", "images/2020/2.jpg")
    (tmp_path / "meta.csv").write_text("file,label,class\nimages/2019/1.jpg,a,c\nimages/2020/2.jpg,b,c\n")
    with pytest.raises(DataError, match="has labels in the columns label and class; choose one with --label-column"):
        open_dataset(tmp_path)


def test_folders_around_a_dataset_are_no_part_of_it(tmp_path: Path) -> None:
    root = tmp_path / "train" / "set" / "v1"
    make_images(root, "train2017/1.jpg", "val2017/2.jpg", "images/Birman_1.jpg", "images/Bengal_1.jpg")
    (root / "annotations").mkdir()
    (root / "annotations" / "trainval.txt").write_text("Birman_1 1 1 1\n")
    (root / "annotations" / "test.txt").write_text("Bengal_1 2 1 2\n")
    data = open_dataset(tmp_path)
    assert (data.layout, Path(data.root)) == ("pets", root)
    assert splits(data) == {"train": ["images/Birman_1.jpg"], "test": ["images/Bengal_1.jpg"]}


def test_the_splits_of_folders_and_the_labels_of_a_table(tmp_path: Path) -> None:
    names = [f"{split}/{label}/{label}.jpg" for split in ("train", "test") for label in ("cat", "dog")]
    make_images(tmp_path, *names)
    lines = [f"{name},{name.split('/')[1]}" for name in (*names, "test/cat/missing.jpg")]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    data = open_dataset(tmp_path)
    assert splits(data) == {"train": names[:2], "test": [*names[2:], "test/cat/missing.jpg"]}
    assert data.reason == "the table labels.csv"


def test_the_names_of_folders_in_another_order_are_a_contradiction(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"{label}/{number}.jpg" for label in ("cat", "dog") for number in range(3)))
    lines = [f"{label}/{n}.jpg,{other}" for label, other in (("cat", "dog"), ("dog", "cat")) for n in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    with pytest.raises(DataError, match="which differ; choose --layout table or --layout folders"):
        open_dataset(tmp_path)


def test_parts_are_no_classes_unless_a_person_says_so(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"part{number % 2}/{number}.jpg" for number in range(4)))
    with pytest.raises(DataError, match="the folders part0 and part1 are called as parts, not as classes"):
        open_dataset(tmp_path)
    assert labels_of(open_dataset(tmp_path, ReadingOptions(layout="folders"))).classes == ("part0", "part1")
    lines = [f"part{number % 2}/{number}.jpg,{'cat' if number < 2 else 'dog'}" for number in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    assert labels_of(open_dataset(tmp_path)).values.tolist() == [0, 0, 1, 1]


def test_a_class_called_as_a_folder_of_images(tmp_path: Path) -> None:
    for root in (tmp_path / "flat", tmp_path / "divided" / "train", tmp_path / "divided" / "test"):
        make_images(root, "images/1.jpg", "boat/2.jpg", "car/3.jpg")
    for name in ("flat", "divided"):
        with pytest.raises(DataError, match="the folder images is called as those of images or masks are"):
            open_dataset(tmp_path / name)
        data = open_dataset(tmp_path / name, ReadingOptions(layout="folders"))
        assert labels_of(data).classes == ("boat", "car", "images")


@pytest.mark.parametrize("folder", ["images", "unknown", "test"])
@pytest.mark.parametrize("form", ["{}", "seg_{}"])
def test_test_images_without_labels_are_no_class(folder: str, form: str, tmp_path: Path) -> None:
    train, test = form.format("train"), form.format("test")
    make_images(
        tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/2.jpg", f"{test}/{folder}/3.jpg", f"{test}/{folder}/4.jpg"
    )
    data = open_dataset(tmp_path)
    assert labels_of(data).classes == ("cat", "dog")
    assert data.notes == (f"2 of 4 images left out, such as {test}/{folder}/3.jpg, {test}/{folder}/4.jpg",)


def test_one_class_in_all_splits_is_named(tmp_path: Path) -> None:
    make_images(tmp_path, "seg_train/cat/1.jpg", "seg_test/cat/deeper/2.jpg")
    with pytest.raises(DataError, match="has only one class, cat; add the images of another one"):
        open_dataset(tmp_path)
    make_images(
        tmp_path / "words", "train station/1.jpg", "train station/a/2.jpg", "test tube/3.jpg", "test tube/a/4.jpg"
    )
    assert labels_of(open_dataset(tmp_path / "words")).classes == ("test tube", "train station")


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        ("digits", ReadingOptions(layout="folders"), "--layout folders"),
        ("digits", ReadingOptions(label_column="x"), "--label-column x"),
        ("labels.csv", ReadingOptions(layout="masks"), "--layout masks"),
        ("labels.csv", ReadingOptions(label_from="a"), "--label-from a"),
        (".", ReadingOptions(layout="folders", label_from="a"), "--label-from a"),
    ],
)
def test_options_that_say_nothing_are_refused(name: str, options: ReadingOptions, option: str, tmp_path: Path) -> None:
    make_images(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "labels.csv").write_text("path,label\ncat/1.jpg,cat\ndog/2.jpg,dog\n")
    with pytest.raises(DataError, match=f"where {option} says nothing; leave it out"):
        open_dataset(name if name == "digits" else tmp_path / name, options)


def test_many_obstacles_are_two_sentences(tmp_path: Path) -> None:
    make_images(tmp_path, "images/1.jpg")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.csv").write_text("path,label\n7.jpg,cat\n8.jpg,dog\n")
    with pytest.raises(DataError, match=r"a\.csv names images that are not in .*; nor are 2 other tables read\.$"):
        open_dataset(tmp_path)


def test_numbers_that_name_images_do_not_stand_for_files_that_are_missing(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"{number}.png" for number in range(4)))
    lines = [f"{3 - number},{number}.tif,{label}" for number, label in enumerate(("a", "a", "b", "b"))]
    (tmp_path / "labels.csv").write_text("\n".join(["id,file,label", *lines]))
    with pytest.raises(DataError, match=r"names images that are not in .*: 0\.tif, 1\.tif, 2\.tif"):
        open_dataset(tmp_path)


def test_images_without_a_mask_are_told_once(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"images/{number}.jpg" for number in range(4)))
    make_masks(tmp_path, *(f"masks/{number}.png" for number in range(3)))
    assert open_dataset(tmp_path).notes == ("left out: 1 without a mask, such as images/3.jpg",)


def test_masks_are_numbered_or_below_splits_or_of_another_unicode_form(tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    make_images(objects, "images/1.jpg", "images/2.jpg", "images/3.jpg")
    make_masks(objects, "masks/1_0.png", "masks/1_1.png", "masks/2_0.png", "masks/3_0.png")
    data = open_dataset(objects)
    assert (len(data), masks_of(data).classes) == (3, ("background", "object"))
    for split in ("pets-train", "pets-test"):
        make_images(tmp_path / "divided", f"{split}/images/{split}.jpg")
        make_masks(tmp_path / "divided", f"{split}/masks/{split}.png")
    assert {word: len(part) for word, part in open_dataset(tmp_path / "divided").given_splits.items()} == {
        "train": 1,
        "test": 1,
    }
    forms = tmp_path / "forms"
    make_images(forms, normalize("NFD", "images/é.jpg"))
    make_masks(forms, normalize("NFC", "masks/é.png"))
    assert len(open_dataset(forms)) == 1


def test_formats_of_the_same_images_are_no_masks(tmp_path: Path) -> None:
    for suffix in ("png", "tif", "bmp"):
        make_masks(tmp_path, *(f"{suffix}/{number}.{suffix}" for number in range(4)))
    make_images(tmp_path, *(f"jpg/{number}.jpg" for number in range(4)))
    assert labels_of(open_dataset(tmp_path)).classes == ("bmp", "jpg", "png", "tif")


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (("cat/1.jpg", "dog/2.JPEG"), False),
        (("cat/1.jpg", "dog/2.png"), True),
        (("cat/1.jpg", "dog/2"), True),
        (("images/1.jpg", "masks/1.jpg"), True),
        (("images/1.jpg", "A_GroundTruth/1.jpg"), True),
        (("1.jpg", "1_gt.jpg"), True),
        (("a/1.jpg", "a/2.jpg", "segments/legend.jpg"), True),
    ],
)
def test_masks_are_sought_where_a_file_may_be_one(names: tuple[str, ...], asked: bool, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name, None if Path(name).suffix else "PNG")
    assert any(map(masks.MARK.search, take_inventory(tmp_path).images)) == asked


def test_folders_are_no_classes_where_a_file_outlines_their_images(tmp_path: Path) -> None:
    """Unless it has a box of only one of them, which says little of the others."""
    make_images(tmp_path, "a/0.jpg", "a/1.jpg", "b/2.jpg")
    polygon = {"label": "car", "points": [[2, 1], [8, 1], [8, 5]], "shape_type": "polygon"}
    document = {"shapes": [polygon], "imagePath": "0.jpg", "imageHeight": 6, "imageWidth": 10}
    write_json(tmp_path / "a/0.json", document | {"shapes": [polygon | {"points": 1}]})
    with pytest.raises(DataError, match=r"a/0\.json has a shape .* choose --layout folders\."):
        open_dataset(tmp_path)
    assert labels_of(open_dataset(tmp_path, ReadingOptions(layout="folders"))).classes == ("a", "b")
    box = polygon | {"points": [[2, 1], [8, 5]], "shape_type": "rectangle"}
    write_json(tmp_path / "a/0.json", document | {"shapes": [box]})
    data = open_dataset(tmp_path)
    assert (data.layout, labels_of(data).classes) == ("folders", ("a", "b"))
    assert "labelme was not taken: it explains 1 of 3 images" in data.notes


def test_folders_are_no_classes_where_coco_outlines_their_images(tmp_path: Path) -> None:
    make_images(tmp_path, "a/0.jpg", "b/1.jpg")
    outline = {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [[2, 1, 8, 1, 8, 5]]}
    document = {"images": [{"id": 1, "file_name": "0.jpg"}], "annotations": [outline], "categories": []}
    write_json(tmp_path / "annotations.json", document)
    with pytest.raises(
        DataError, match=r"whose category_id is none of its categories' ids.* choose --layout folders\."
    ):
        open_dataset(tmp_path)


def test_images_of_another_size_are_explained_all_the_same(tmp_path: Path) -> None:
    make_images(tmp_path, "0.jpg", "1.jpg", "2.jpg")
    for number, width in enumerate((10, 20, 20)):
        polygon = {"label": "car", "points": [[2, 1], [8, 1], [8, 5]], "shape_type": "polygon"}
        document = {"shapes": [polygon], "imagePath": f"{number}.jpg", "imageHeight": 6, "imageWidth": width}
        write_json(tmp_path / f"{number}.json", document)
    data = open_dataset(tmp_path)
    assert data.left_out == ("1.jpg", "2.jpg")
    assert data.notes == (
        "left out: 2 whose size is not the file's, such as 1.jpg (10x6, not 20x6), 2.jpg (10x6, not 20x6)",
    )


def test_names_of_half_of_the_images_and_folders_may_both_be_classes(tmp_path: Path) -> None:
    names = (f"{name}.{number}" for name in ("cat", "dog") for number in range(2))
    make_images(tmp_path, *(f"train/{name}.jpg" for name in names), *(f"unlabeled/{number}.jpg" for number in range(4)))
    with pytest.raises(DataError, match=r"can be read as folders .*, or as names .*, which differ"):
        open_dataset(tmp_path)


def test_two_programs_that_differ_on_an_image(tmp_path: Path) -> None:
    make_images(tmp_path, "0.jpg", "1.jpg")
    square = [[2, 1], [8, 1], [8, 5], [2, 5]]
    for number in range(2):
        polygon = {"label": "car", "points": square, "shape_type": "polygon"}
        write_json(tmp_path / f"{number}.json", {"shapes": [polygon], "imagePath": f"{number}.jpg"})
    outlines = [
        {"id": key, "image_id": key, "category_id": key, "segmentation": [np.ravel(square).tolist()]} for key in (0, 1)
    ]
    document = {"images": [{"id": key, "file_name": f"{key}.jpg"} for key in (0, 1)], "annotations": outlines}
    write_json(tmp_path / "coco.json", document | {"categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "bus"}]})
    with pytest.raises(DataError, match=r"as coco .*, or as labelme .* differ on .*1\.jpg; choose --layout coco"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, ReadingOptions(layout="labelme")).layout == "labelme"
    outlines[1]["category_id"] = 0
    write_json(tmp_path / "coco.json", document | {"categories": [{"id": 0, "name": "car"}]})
    assert open_dataset(tmp_path).layout == "coco"
