"""The file of predicted regions, as COCO's own program and our reader of its layout see it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from convolve.datasets.layouts import open_dataset
from convolve.datasets.masks import Masks, count_pixels
from convolve.tasks.segment.annotations import AnnotatedImage, write_annotations
from convolve.tasks.segment.polygons import find_polygons
from convolve.values import Pixels

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


CLASSES = ("background", "disc", "어두운 것")


def annotated(name: Path, mask: Pixels) -> AnnotatedImage:
    found = {CLASSES[index]: find_polygons(mask == index) for index in np.unique(mask)}
    return AnnotatedImage(str(name), (mask.shape[0], mask.shape[1]), found)


def masks(root: Path) -> list[tuple[Path, Pixels]]:
    """Images of two sizes in two folders, under one name, and masks of noise."""
    random = np.random.default_rng(3)
    found = []
    for folder, shape in (("a", (31, 44)), ("b", (20, 9))):
        path = root / "images" / folder / "x.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(random.integers(0, 255, (*shape, 3), dtype=np.uint8)).save(path)
        found.append((path, random.integers(0, 3, shape, dtype=np.uint8)))
    return found


def test_cocos_own_program_reads_the_same_masks(tmp_path: Path) -> None:
    images = masks(tmp_path)
    path = write_annotations(tmp_path, [annotated(*one) for one in images], CLASSES)
    found = COCO(path)
    assert [image["file_name"] for image in found.dataset["images"]] == ["a/x.png", "b/x.png"]
    assert [one["name"] for one in found.loadCats(found.getCatIds())] == list(CLASSES[1:])
    for number, (_, mask) in enumerate(images, 1):
        back = np.zeros_like(mask)
        for one in found.loadAnns(found.getAnnIds(imgIds=number)):
            inside = found.annToMask(one) > 0
            assert (one["area"], one["iscrowd"]) == (inside.sum(), 0)
            assert not back[inside].any()  # regions do not overlap
            back[inside] = one["category_id"]
        assert np.array_equal(back, mask)


def test_the_reader_of_cocos_layout_reads_it_back(tmp_path: Path) -> None:
    images = masks(tmp_path)
    dataset = open_dataset(write_annotations(tmp_path, [annotated(*one) for one in images], CLASSES))
    found = dataset.ground_truths["masks"]
    assert isinstance(found, Masks)
    assert (dataset.layout, found.classes) == ("coco", CLASSES)
    for index, (path, mask) in enumerate(images):
        assert tmp_path / dataset.images.name(index) == path
        assert np.array_equal(found.read(index), mask)
        assert count_pixels(mask, 3)[1:].all()


def test_predictions_are_ground_truth_only_where_the_file_itself_is_given(tmp_path: Path) -> None:
    images = masks(tmp_path)
    write_annotations(tmp_path / "predicted", [annotated(*one) for one in images], CLASSES)
    for path, mask in images:
        folder = tmp_path / "annotations" / path.parent.name
        folder.mkdir(parents=True)
        Image.fromarray(mask).save(folder / "x.png")
    assert open_dataset(tmp_path).layout == "masks"
    for name in ("images", "annotations", ""):
        path = write_annotations(tmp_path / name, [annotated(*one) for one in images], CLASSES)
        data = open_dataset(tmp_path)
        assert data.layout == "masks"
        assert any("predictions.json is not read: convolve predicted it" in note for note in data.notes)
        given = open_dataset(path)
        assert (given.layout, Path(given.root, given.images.name(0))) == ("coco", tmp_path / "images/a/x.png")
        path.unlink()


def test_an_image_without_regions_stays_listed(tmp_path: Path) -> None:
    path = write_annotations(tmp_path, [AnnotatedImage("one.png", (4, 5), {})], ("ground", "disc"))
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["images"] == [{"id": 1, "file_name": "one.png", "height": 4, "width": 5}]
    assert written["annotations"] == []
    assert [one["id"] for one in written["categories"]] == [1, 2]
