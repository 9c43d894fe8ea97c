"""Tiles of images and of their masks: where they are, what they show, and what is read for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageArray, ImageFiles
from convolve.datasets.masks import MaskArray, MaskFiles, Masks
from convolve.datasets.tiles import starts, tiles
from convolve.targets import ArrayTargets
from convolve.values import IGNORE, Indices, Pixels, Placement, Preprocessing, TargetSource
from tests.datasets.ground_truths import values
from tests.datasets.synthetic import CountedImages

COLORS = ((0, 0, 0), (200, 30, 40), (10, 10, 10))
FRAME = Preprocessing(64, 48, 1, "tiles", (0.0,), (1.0,))
NOTHING = Augmentation(1.0, False, False, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOLVE_CACHE", str(tmp_path / "cache"))


def pairs(folder: Path, sizes: list[tuple[int, int]], shrunk: int = 1) -> tuple[ImageFiles, Masks]:
    """White rings and bars on black; class 1 is white. Masks may be smaller than their images."""
    for number, (height, width) in enumerate(sizes):
        image = Image.new("L", (width, height))
        pen = ImageDraw.Draw(image)
        for left in range(7, width, 57):
            pen.ellipse((left, left // 2, left + 37, left // 2 + 29), fill=255)
            pen.rectangle((left + 20, height - left, left + 25, height - left + 40), fill=255)
        image.save(folder / f"{number}.png")
        mask = image.point(lambda value: value // 255)
        mask.resize((width // shrunk, height // shrunk), Image.Resampling.NEAREST).save(folder / f"{number}.mask.png")
    names = [str(number) for number in range(len(sizes))]
    images = ImageFiles(folder, tuple(f"{name}.png" for name in names))
    reader = MaskFiles(folder, tuple(f"{name}.mask.png" for name in names), (0, 1))
    return images, Masks(reader, ("black", "white"), COLORS[:2])


def still(source: TargetSource, indices: Indices) -> Pixels:
    """Targets of tiles that nothing has moved."""
    count = len(indices)
    placement = Placement(np.broadcast_to(np.eye(2, 3), (count, 2, 3)), np.tile([64, 48], (count, 1)), FRAME)
    found = source.targets(indices, placement)
    assert isinstance(found, ArrayTargets)
    return found.values


@given(st.integers(1, 300), st.integers(1, 90))
def test_tiles_cover_a_side_and_overlap_by_half(length: int, tile: int) -> None:
    found = starts(length, tile)
    assert found[0] == 0
    assert found[-1] + tile == max(length, tile)
    assert (np.diff(found) > 0).all()
    assert (np.diff(found) <= max(tile // 2, 1)).all()
    assert (np.diff(found)[:-1] == max(tile // 2, 1)).all()


def test_a_row_of_tiles_is_torch_s_unfolding(tmp_path: Path) -> None:
    """Where the sides are whole steps, tiles are `Tensor.unfold`'s."""
    images, masks = pairs(tmp_path, [(160, 120)])
    source = open_cache(images, FRAME, None, 1 << 30, 0)
    found = tiles(images, masks, source, FRAME, 1 << 30)
    image = torch.from_numpy(np.array(Image.open(tmp_path / "0.png")))
    wanted = image.unfold(0, 64, 32).unfold(1, 48, 24).reshape(-1, 64, 48).numpy()
    assert len(found.source) == len(wanted) == 16
    for index, tile in enumerate(wanted):
        assert np.array_equal(found.source.get(index)[..., 0], tile)
    targets = still(found.targets, np.arange(16))
    assert np.array_equal(targets, wanted // 255)


@pytest.mark.parametrize("shrunk", [1, 2])
@pytest.mark.parametrize(
    "variation",
    [
        None,
        NOTHING,
        replace(NOTHING, crop=0.5, flip=True),
        replace(NOTHING, crop=0.6, flip=True, vertical_flip=True, rotate=40.0, scale=0.3, translate=0.2),
    ],
)
def test_masks_move_with_their_tiles(variation: Augmentation | None, shrunk: int, tmp_path: Path) -> None:
    images, masks = pairs(tmp_path, [(150, 200), (70, 131)], shrunk)
    found = tiles(images, masks, open_cache(images, FRAME, None, 1 << 30, 0), FRAME, 1 << 30)
    part = found.of(np.array([0, 1]))
    batches = Batches(
        found.source, found.targets, part, BatchOptions(FRAME, 8, 3, shuffle=True, augmentation=variation)
    )
    seen = 0
    for batch in batches.epoch(1):
        white, marked = batch.images[..., 0] > 0.5, values(batch) == 1
        edges = np.count_nonzero(white[:, 1:] != white[:, :-1]) + np.count_nonzero(white[:, :, 1:] != white[:, :, :-1])
        assert np.count_nonzero(white != marked) <= (0 if shrunk == 1 and not moves(variation) else shrunk * edges / 2)
        seen += int(np.count_nonzero(marked))
    assert seen > 1000


def moves(variation: Augmentation | None) -> bool:
    return variation not in (None, NOTHING)


def test_a_small_image_is_reflected_and_its_mask_ignored(tmp_path: Path) -> None:
    images, masks = pairs(tmp_path, [(40, 30), (64, 48), (40, 100)])
    found = tiles(images, masks, open_cache(images, FRAME, None, 1 << 30, 0), FRAME, 1 << 30)
    image = np.array(Image.open(tmp_path / "0.png"))
    reflected = np.pad(image, ((0, 24), (0, 18)), mode="reflect")
    assert np.array_equal(found.source.get(0)[..., 0], reflected)
    first, second = still(found.targets, np.array([0, 1]))
    assert np.array_equal(first[:40, :30], image // 255)
    assert (first[40:] == IGNORE).all()
    assert (first[:, 30:] == IGNORE).all()
    assert (second != IGNORE).all()
    assert found.of(np.array([2])).tolist() == [2, 3, 4, 5]  # 0, 24, 48, 52


def test_examples_are_in_the_order_of_their_images(tmp_path: Path) -> None:
    images, masks = pairs(tmp_path, [(64, 48), (96, 48), (64, 72), (100, 48)])
    (tmp_path / "1.png").write_bytes(b"not an image")
    found = tiles(images, masks, open_cache(images, FRAME, None, 1 << 30, 0), FRAME, 1 << 30)
    assert found.of(np.array([3, 0])).tolist() == [3, 4, 5, 0]
    assert not len(found.of(np.array([1])))  # cannot be read
    assert not len(found.of(np.empty(0, np.int64)))
    assert found.source.description.endswith("They are cut into 6 tiles of 48x64.")


def test_each_image_and_mask_is_decoded_once_and_then_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, masks = pairs(tmp_path, [(300, 400), (250, 260)])
    images, mask_reads = CountedImages(files), Counter[int]()

    def read(masks: MaskFiles, index: int) -> Pixels:
        mask_reads[index] += 1
        return read_mask(masks, index)

    read_mask = MaskFiles.read
    monkeypatch.setattr(MaskFiles, "read", read)
    for decoded in (Counter((0, 1)), Counter[int]()):
        images.decoded.clear()
        mask_reads.clear()
        source = open_cache(images, FRAME, None, 1 << 30, 2)
        found = tiles(images, masks, source, FRAME, 1 << 30)
        part = found.of(np.array([0, 1]))
        assert len(part) > 150
        for batch in Batches(found.source, found.targets, part, BatchOptions(FRAME, 32, 0, shuffle=True)).epoch(0):
            assert batch.images.shape[1:] == (64, 48, 1)
        assert images.decoded == mask_reads == decoded
    other = replace(FRAME, height=32, width=32)
    assert "decoded in an earlier run" in open_cache(images, other, None, 1 << 30, 2).description


def test_other_classes_are_another_cache(tmp_path: Path) -> None:
    images, masks = pairs(tmp_path, [(64, 48)])
    swapped = Masks(MaskFiles(tmp_path, ("0.mask.png",), (1, 0)), masks.classes, masks.colors)
    for other in (masks, swapped, masks.with_classes(("white", "black")), masks.with_classes(("white", "other"))):
        found = tiles(images, other, open_cache(images, FRAME, None, 1 << 30, 0), FRAME, 1 << 30)
        assert np.array_equal(still(found.targets, np.array([0]))[0], other.read(0))


def test_without_a_cache_and_in_memory_it_is_the_same(tmp_path: Path) -> None:
    images, masks = pairs(tmp_path, [(150, 200)] * 2)
    arrays = ImageArray(np.stack([images.read(0), images.read(1)]), "stack")
    numbers = Masks(MaskArray(np.stack([masks.read(0), masks.read(1)])), masks.classes, COLORS[:2])
    stored = tiles(images, masks, open_cache(images, FRAME, None, 1 << 30, 0), FRAME, 1 << 30)
    streamed = tiles(images, masks, open_cache(images, FRAME, None, 0, 0), FRAME, 0)
    within = tiles(arrays, numbers, open_cache(arrays, FRAME, None, 0, 0), FRAME, 0)
    part = stored.of(np.arange(2))
    for other in (streamed, within):
        assert np.array_equal(other.of(np.arange(2)), part)
        batches = [
            Batches(each.source, each.targets, part, BatchOptions(FRAME, 9, 1, shuffle=True, workers=1))
            for each in (stored, other)
        ]
        for first, second in zip(batches[0].epoch(2), batches[1].epoch(2), strict=True):
            assert np.array_equal(first.images, second.images)
            assert np.array_equal(values(first), values(second))
