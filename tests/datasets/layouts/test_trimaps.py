"""The pets' trimaps beside their breeds: one folder, two truths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import ImageError
from convolve.values import IGNORE

TRIMAP = np.array([[1, 1, 3, 2, 2], [1, 3, 3, 2, 2], [3, 2, 2, 2, 2]], dtype=np.uint8)
NAMES = ("Bengal_3", "american_bulldog_10", "Bengal_4", "Bengal_20")


def put(root: Path) -> Path:
    for folder in ("images", "annotations/trimaps"):
        (root / folder).mkdir(parents=True)
    for name in NAMES:
        Image.new("RGB", (5, 3)).save(root / "images" / f"{name}.jpg")
        Image.fromarray(TRIMAP).save(root / "annotations" / "trimaps" / f"{name}.png")
    (root / "annotations" / "trainval.txt").write_text("Bengal_3 6 1 2\namerican_bulldog_10 2 2 1\nBengal_4 6 1 2\n")
    (root / "annotations" / "test.txt").write_text("Bengal_20 6 1 2\n")
    return root


def test_the_task_says_which_truth_is_meant(tmp_path: Path) -> None:
    place = put(tmp_path / "wrapped" / "pets").parent
    for task in (None, "classify"):
        breeds = open_dataset(place, task)
        assert (breeds.layout, breeds.masks) == ("pets", None)
        assert breeds.labels.classes == ("american bulldog", "Bengal")
        assert "--task segment takes its trimaps" in breeds.reason
    data = open_dataset(place, "segment")
    assert (data.layout, data.labels.classes) == ("trimaps", ("background", "pet"))
    assert data.masks is not None
    assert data.masks.read(0).tolist() == [[1, 1, IGNORE, 0, 0], [1, IGNORE, IGNORE, 0, 0], [IGNORE, 0, 0, 0, 0]]
    assert {word: part.tolist() for word, part in data.given.items()} == {"train": [0, 1, 2], "test": [3]}
    assert data.images.name(1) == "images/american_bulldog_10.jpg"
    assert "1 is pet, 2 background, 3, the border, is ignored" in data.reason


def test_images_without_a_trimap_are_named(tmp_path: Path) -> None:
    root = put(tmp_path)
    (root / "annotations" / "trimaps" / "american_bulldog_10.png").unlink()
    data = open_dataset(root, "segment")
    assert "1 images without a trimap are left out, such as images/american_bulldog_10.jpg" in data.reason
    assert {word: part.tolist() for word, part in data.given.items()} == {"train": [0, 1], "test": [2]}


def test_another_value_is_no_trimap(tmp_path: Path) -> None:
    root = put(tmp_path)
    Image.fromarray(TRIMAP + 5).save(root / "annotations" / "trimaps" / "Bengal_4.png")
    masks = open_dataset(root, "segment").masks
    assert masks is not None
    with pytest.raises(ImageError, match=r"Bengal_4\.png holds the value 6, which names no class"):
        masks.read(2)


def test_where_there_are_no_trimaps_the_breeds_are_all_there_is(tmp_path: Path) -> None:
    root = put(tmp_path)
    for path in (root / "annotations" / "trimaps").iterdir():
        path.unlink()
    assert open_dataset(root, "segment").layout == "pets"
