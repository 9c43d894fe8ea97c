"""Images alone, read where nothing else is asked of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError

ASKED = ReadingOptions(layout="images")


def _write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), len(name), np.uint8)).save(path)
    return root


def test_all_images_below_a_folder(tmp_path: Path) -> None:
    data = open_dataset(_write(tmp_path, "b.png", "Set5/a.png", "Set14/a.png"), ASKED)
    assert (data.layout, data.reason, data.given_splits) == ("images", "3 images", {})
    assert [data.images.name(index) for index in range(3)] == ["b.png", "Set5/a.png", "Set14/a.png"]
    assert data.ground_truths["images"].classes == ()


def test_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    data = open_dataset(_write(tmp_path, "train/a.png", "train/b.png", "val/c.png"), ASKED)
    splits = {name: [data.images.name(index) for index in part] for name, part in data.given_splits.items()}
    assert splits == {"train": ["train/a.png", "train/b.png"], "validation": ["val/c.png"]}


def test_they_are_read_only_where_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known layouts"):
        open_dataset(_write(tmp_path, "a.png", "b.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be read as images"):
        open_dataset(tmp_path / "empty", ASKED)
