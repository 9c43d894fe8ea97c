"""Stacks of pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from convolve.values import Pixels
from tests.datasets.ground_truths import masks_of


def write(place: Path, pages: Pixels) -> None:
    first, *rest = (Image.fromarray(page) for page in pages)
    first.save(place, save_all=True, append_images=rest)


def stack(pages: int, shape: tuple[int, int] = (20, 24), seed: int = 0) -> tuple[Pixels, Pixels]:
    random = np.random.default_rng(seed)
    return random.integers(0, 255, (pages, *shape), dtype=np.uint8), random.integers(0, 2, (pages, *shape), np.uint8)


def test_as_isbis_challenge_has_them(tmp_path: Path) -> None:
    images, masks = stack(5)
    write(tmp_path / "train-volume.tif", images)
    write(tmp_path / "train-labels.tif", masks * np.uint8(255))
    write(tmp_path / "test-volume.tif", images)  # whose labels no one has
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes, data.given_splits) == ("stacks", ("background", "foreground"), {})
    assert "0 and 255 are two classes" in data.reason
    assert len(data) == 5
    for page in range(5):
        assert np.array_equal(data.images.read(page)[..., 0], images[page])
        assert np.array_equal(masks_of(data).read(page), masks[page])
    assert data.images.name(2) == "train-volume#2"
    assert len({masks_of(data).digest(page) for page in range(5)}) == 5


def test_several_stacks_are_splits(tmp_path: Path) -> None:
    for seed, (split, pages) in enumerate((("train", 4), ("test", 2))):
        images, masks = stack(pages, seed=seed)
        write(tmp_path / f"{split}_images.tiff", images)
        write(tmp_path / f"{split}_masks.tiff", masks * np.uint8(3))
    data = open_dataset(tmp_path)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 4, "test": 2}
    assert masks_of(data).classes == ("class 0", "class 3")


def test_pages_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "volume.tif", stack(4)[0])
    write(tmp_path / "labels.tif", stack(3)[1])
    with pytest.raises(DataError, match=r"volume\.tif has pages \(4, 20, 24\) and labels\.tif \(3, 20, 24\)"):
        open_dataset(tmp_path)


def test_single_pages_are_pairs_of_files(tmp_path: Path) -> None:
    for number in range(3):
        images, masks = stack(1, seed=number)
        write(tmp_path / f"{number}.tif", images)
        write(tmp_path / f"{number}_mask.tif", masks)
    data = open_dataset(tmp_path)
    assert (data.layout, len(data)) == ("masks", 3)


def test_pages_in_color_keep_their_colors(tmp_path: Path) -> None:
    """Red and a gray of the same brightness are two classes."""
    images, masks = stack(4)
    write(tmp_path / "train-volume.tif", images)
    write(tmp_path / "train-labels.tif", np.array([[76, 76, 76], [255, 0, 0]], np.uint8)[masks])
    write(tmp_path / "test-volume.tif", images)
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("#4c4c4c", "#ff0000")
    assert np.array_equal(masks_of(data).read(2), masks[2])
    assert "left out: 1 that belong to no pair of stacks, such as test-volume.tif" in data.notes


def test_smoothed_pages_are_refused(tmp_path: Path) -> None:
    images, masks = stack(4, (40, 48))
    write(tmp_path / "volume.tif", images)
    write(tmp_path / "labels.tif", masks * np.uint8(255))
    assert open_dataset(tmp_path).layout == "stacks"
    write(tmp_path / "labels.tif", np.stack([smooth(mask) for mask in masks]))
    with pytest.raises(DataError, match=r"are smoothed, such as labels\.tif"):
        open_dataset(tmp_path)


def smooth(mask: Pixels) -> Pixels:
    """A disc of 255 with an edge two pixels wide, shifted by what the mask begins with."""
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    distance = np.hypot(rows - 20 - mask[0, 0], columns - 24)
    soft: Pixels = np.clip(255 * (12 - distance) / 2, 0, 255).round(-1).astype(np.uint8)
    return soft


@pytest.mark.parametrize(("there", "absent"), [("train-volume", "train-labels"), ("train-labels", "train-volume")])
def test_half_of_a_pair_names_the_other(there: str, absent: str, tmp_path: Path) -> None:
    write(tmp_path / f"{there}.tif", stack(3)[0])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DataError, match=rf"{there}\.tif is a stack without its .*, such as {absent}\.tif; add them"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("part", range(1, 12))
def test_a_stack_cut_short_is_named(part: int, tmp_path: Path) -> None:
    images, masks = stack(3)
    write(tmp_path / "train-volume.tif", images)
    write(tmp_path / "train-labels.tif", masks)
    content = (tmp_path / "train-labels.tif").read_bytes()
    (tmp_path / "train-labels.tif").write_bytes(content[: len(content) * part // 12])
    with pytest.raises(DataError, match=r"train-labels\.tif"):
        open_dataset(tmp_path)
