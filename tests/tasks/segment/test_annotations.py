"""The file of predicted regions, as COCO's own program and our reader of its layout see it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from convolve.datasets.layouts import open_dataset
from convolve.datasets.masks import pixels_by_class
from convolve.tasks.segment.annotations import Outlined, write_annotations
from convolve.tasks.segment.polygons import rings
from convolve.values import Pixels

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools


CLASSES = ("background", "disc", "어두운 것")


def outlined(name: Path, mask: Pixels) -> Outlined:
    found = {CLASSES[number]: rings(mask == number) for number in np.unique(mask)}
    return Outlined(str(name), (mask.shape[0], mask.shape[1]), found)


def masks(root: Path) -> list[tuple[Path, Pixels]]:
    """Images of two sizes in two folders, under one name, and masks of noise."""
    random = np.random.default_rng(3)
    found = []
    for word, shape in (("a", (31, 44)), ("b", (20, 9))):
        place = root / "images" / word / "x.png"
        place.parent.mkdir(parents=True)
        Image.fromarray(random.integers(0, 255, (*shape, 3), dtype=np.uint8)).save(place)
        found.append((place, random.integers(0, 3, shape, dtype=np.uint8)))
    return found


def test_cocos_own_program_reads_the_same_masks(tmp_path: Path) -> None:
    there = masks(tmp_path)
    place = write_annotations(tmp_path, [outlined(*one) for one in there], CLASSES)
    found = COCO(place)
    assert [image["file_name"] for image in found.dataset["images"]] == ["a/x.png", "b/x.png"]
    assert [one["name"] for one in found.loadCats(found.getCatIds())] == list(CLASSES[1:])
    for number, (_, mask) in enumerate(there, 1):
        back = np.zeros_like(mask)
        for one in found.loadAnns(found.getAnnIds(imgIds=number)):
            inside = found.annToMask(one) > 0
            assert (one["area"], one["iscrowd"]) == (inside.sum(), 0)
            assert not back[inside].any()  # regions do not overlap
            back[inside] = one["category_id"]
        assert np.array_equal(back, mask)


def test_the_reader_of_cocos_layout_reads_it_back(tmp_path: Path) -> None:
    there = masks(tmp_path)
    write_annotations(tmp_path, [outlined(*one) for one in there], CLASSES)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.labels.classes) == ("coco", CLASSES)
    assert dataset.masks is not None
    for number, (place, mask) in enumerate(there):
        assert tmp_path / dataset.images.name(number) == place
        assert np.array_equal(dataset.masks.read(number), mask)
        assert pixels_by_class(mask, 3)[1:].all()


def test_predictions_left_below_a_dataset_are_not_its_truth(tmp_path: Path) -> None:
    there = masks(tmp_path)
    write_annotations(tmp_path / "predicted", [outlined(*one) for one in there], CLASSES)
    for place, mask in there:
        beside = tmp_path / "annotations" / place.parent.name
        beside.mkdir(parents=True)
        Image.fromarray(mask).save(beside / "x.png")
    assert open_dataset(tmp_path).layout == "masks"
    for folder in ("images", "annotations", ""):
        place = write_annotations(tmp_path / folder, [outlined(*one) for one in there], CLASSES)
        data = open_dataset(tmp_path)
        assert (data.layout, data.images.name(0)) == ("coco", "images/a/x.png")
        place.unlink()


def test_an_image_without_regions_stays_listed(tmp_path: Path) -> None:
    place = write_annotations(tmp_path, [Outlined("one.png", (4, 5), {})], ("ground", "disc"))
    written = json.loads(place.read_text(encoding="utf-8"))
    assert written["images"] == [{"id": 1, "file_name": "one.png", "height": 4, "width": 5}]
    assert written["annotations"] == []
    assert [one["id"] for one in written["categories"]] == [1, 2]
