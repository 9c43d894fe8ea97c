"""Captions as they are distributed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.captions import Captions
from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset

ASKED = ReadingOptions(layout="captions")
COCO = Path(__file__).resolve().parents[4] / "shared" / "data" / "coco_mini"


def _images(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5, 3), len(name), np.uint8)).save(path)
    return root


def _texts(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    captions = dataset.ground_truths["captions"]
    assert isinstance(captions, Captions)
    return {dataset.images.name(index): captions.texts[index] for index in range(len(dataset))}


def test_coco(tmp_path: Path) -> None:
    root = _images(tmp_path, "train2017/1.jpg", "train2017/2.jpg", "val2017/3.jpg")
    (root / "annotations").mkdir()
    for split, images in (("train", (1, 2, 9)), ("val", (3,))):
        document = {
            "images": [{"id": image, "file_name": f"{image}.jpg"} for image in images],
            "annotations": [
                {"id": 2 * image + more, "image_id": image, "caption": f"Image {image}\n{'again' * more} "}
                for image in images
                for more in (0, 1)
            ],
        }
        (root / f"annotations/captions_{split}2017.json").write_text(json.dumps(document))
    found = open_dataset(root, ASKED)
    assert _texts(found)["train2017/2.jpg"] == ("Image 2", "Image 2 again")
    assert {split: part.tolist() for split, part in found.given_splits.items()} == {"train": [0, 1], "validation": [2]}
    assert found.notes == ("left out: 2 captions of missing images, such as 9.jpg",)
    one = open_dataset(root / "annotations" / "captions_val2017.json", ASKED)
    assert _texts(one) == {"val2017/3.jpg": ("Image 3", "Image 3 again")}


def test_flickr8k(tmp_path: Path) -> None:
    root = _images(tmp_path, "Images/a_1.jpg", "Images/b_2.jpg", "Images/c_3.jpg", "Images/d_4.jpg")
    lines = [
        f"{name}.jpg#{number}\tA {name} , number {number} ." for name in ("a_1", "b_2", "c_3") for number in (0, 1)
    ]
    (root / "Flickr8k.token.txt").write_text("\n".join(lines))
    (root / "Flickr8k.lemma.token.txt").write_text("\n".join(lines).lower())
    (root / "Flickr_8k.trainImages.txt").write_text("a_1.jpg\nb_2.jpg\n")
    (root / "Flickr_8k.devImages.txt").write_text("c_3.jpg\n")
    found = open_dataset(root, ASKED)
    assert _texts(found)["Images/b_2.jpg"] == ("A b_2 , number 0 .", "A b_2 , number 1 .")
    assert {split: part.tolist() for split, part in found.given_splits.items()} == {"train": [0, 1], "validation": [2]}
    assert "1 of 4 images left out, such as Images/d_4.jpg" in found.notes


def test_flickr30k_with_the_line_that_is_known_to_lack_a_bar(tmp_path: Path) -> None:
    root = _images(tmp_path, "1.jpg", "2.jpg")
    lines = [
        "image_name| comment_number| comment",
        '1.jpg| 0| A man , "smiling" .',
        "1.jpg| 4   A dog .",
        "2.jpg| 0| Two; cats",
    ]
    (root / "results.csv").write_text("\n".join(lines))
    found = open_dataset(root, ASKED)
    assert _texts(found) == {"1.jpg": ('A man , "smiling" .',), "2.jpg": ("Two; cats",)}
    assert found.notes == ("left out: 1 line of results.csv without a caption",)


def test_a_table_in_korean_with_splits(tmp_path: Path) -> None:
    root = _images(tmp_path, "가.png", "나.png")
    (root / "설명.csv").write_text(
        'image,caption,split\n가.png,"빨간 원, 파란 사각형",train\n나.png,원,val\n나.png,,val\n'
    )
    found = open_dataset(root, ASKED)
    assert _texts(found) == {"가.png": ("빨간 원, 파란 사각형",), "나.png": ("원", "")}
    captions = found.ground_truths["captions"]
    assert [remark.what for remark in captions.findings.remarks] == ["1 image has an empty caption"]
    assert captions.findings.facts["vocabulary"] == "4 words, 3 of them once"


def test_what_is_no_captions_is_refused_in_a_sentence(tmp_path: Path) -> None:
    root = _images(tmp_path / "one", "a.png")
    (root / "table.csv").write_text("image,label\na.png,cat\n")
    with pytest.raises(DataError, match="cannot be read as captions"):
        open_dataset(root, ASKED)
    with pytest.raises(DataError, match="has no captions; give COCO's"):
        open_dataset(root / "table.csv", ASKED)
    (root / "table.csv").write_text("image,caption\nb.png,a cat\n")
    with pytest.raises(DataError, match=r"holds none of the images that table\.csv names, such as b\.png"):
        open_dataset(root, ASKED)
    (root / "table.csv").write_text("image,caption,split\na.png,a cat,monday\n")
    with pytest.raises(DataError, match="a split called 'monday'; write train, val or test"):
        open_dataset(root, ASKED)


def test_an_image_with_nothing_but_empty_captions_is_left_out(tmp_path: Path) -> None:
    root = _images(tmp_path, "a.png", "b.png")
    (root / "captions.csv").write_text("image,caption\na.png,a cat\nb.png, ...\n")
    found = open_dataset(root, ASKED)
    assert "left out: 1 image with empty captions, such as b.png" in found.notes
    assert len(found.for_ground_truth("captions")) == 1


@pytest.mark.skipif(not COCO.is_dir(), reason="needs coco_mini")
def test_coco_mini() -> None:
    found = open_dataset(COCO, ASKED)
    assert {split: len(part) for split, part in found.given_splits.items()} == {"train": 80, "validation": 79}
    assert found.ground_truths["captions"].findings.facts["captions"] == "795, 5 to 5 per image"
