"""Selective search: what it must give of any image, and against OpenCV's on photographs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convolve.datasets.boxes import Boxes
from convolve.datasets.layouts import open_dataset
from convolve.datasets.proposals import sliding_windows
from convolve.datasets.selective_search import MODES, ColorSpace, Mode, color_channels, order_boxes, selective_search
from convolve.errors import DataError
from convolve.metrics.proposals import best_overlaps_of_first
from convolve.values import Pixels

color = pytest.importorskip("skimage.color")
SHARED = Path(__file__).parents[3] / "shared"
needs_shared = pytest.mark.skipif(not (SHARED / "detection/selective_search").is_dir(), reason="no shared data")
modes: tuple[Mode, ...] = ("fast", "quality")


def rectangles(seed: int, height: int, width: int) -> Pixels:
    """Some rectangles of one color each, with a little noise."""
    random = np.random.default_rng(seed)
    image = np.full((height, width, 3), random.integers(0, 256, 3), np.int64)
    for _ in range(4):
        top, left = (int(random.integers(0, side)) for side in (height, width))
        image[top : top + height // 2, left : left + width // 2] = random.integers(0, 256, 3)
    noisy: Pixels = np.clip(image + random.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)
    return noisy


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 70))
def test_boxes_lie_in_the_image_and_none_occurs_twice(seed: int, height: int, width: int) -> None:
    image = rectangles(seed, height, width)
    boxes = selective_search(image)
    assert boxes.dtype == np.float64
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (width, height)).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert [0, 0, width, height] in boxes.tolist()
    assert selective_search(image).tolist() == boxes.tolist()


def test_quality_finds_what_fast_finds_and_more() -> None:
    image = rectangles(1, 120, 160)
    fast, quality = ({tuple(box) for box in selective_search(image, mode).tolist()} for mode in modes)
    assert fast < quality


@pytest.mark.parametrize("mode", modes)
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 1), (1, 9, 3), (40, 30, 3), (700, 2, 1)])
def test_a_flat_image_is_one_box(shape: tuple[int, ...], mode: Mode) -> None:
    assert selective_search(np.full(shape, 7, np.uint8), mode).tolist() == [[0, 0, shape[1], shape[0]]]


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 5, 3), (5, 0, 1)])
def test_an_image_without_pixels_has_no_boxes(shape: tuple[int, ...]) -> None:
    assert selective_search(np.zeros(shape, np.uint8)).shape == (0, 4)


def test_gray_is_color_with_equal_channels() -> None:
    gray = rectangles(2, 60, 80)[:, :, 0]
    expected = selective_search(np.repeat(gray[:, :, None], 3, axis=2)).tolist()
    assert selective_search(gray).tolist() == selective_search(gray[:, :, None]).tolist() == expected


def test_a_large_image_is_reduced_to_400_pixels() -> None:
    small = rectangles(3, 200, 400)
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    assert selective_search(large).tolist() == (4 * selective_search(small)).tolist()
    edges = selective_search(rectangles(4, 601, 997))
    assert edges.max(axis=0).tolist()[2:] == [997, 601]


def test_many_regions_take_little_memory() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3)).astype(np.uint8)
    assert len(selective_search(noise)) > 1000


def test_first_come_boxes_that_differ() -> None:
    """Of two that differ by a pixel one comes last, and one that occurs again is left out."""
    boxes = np.array([[0, 0, 100, 100], [1, 0, 100, 100], [0, 0, 50, 50], [0, 0, 100, 100]], np.float32)
    found = order_boxes([boxes[:3], boxes[3:]]).tolist()
    assert sorted(found) == sorted(boxes[:3].tolist())
    assert boxes[2].tolist() in found[:2]


def test_what_several_hierarchies_find_comes_soon() -> None:
    random = np.random.default_rng(0)
    corners = random.integers(0, 200, (9, 60, 2))
    hierarchies = np.concatenate([corners, corners + random.integers(5, 200, (9, 60, 2))], axis=2).astype(np.float32)
    for hierarchy, place in zip(hierarchies, random.integers(0, 60, 9).tolist(), strict=True):
        hierarchy[place] = 100, 100, 180, 160
    assert [100, 100, 180, 160] in order_boxes(list(hierarchies))[:10].tolist()


def test_small_ranks_come_sooner() -> None:
    """Without any two alike, the last boxes of a hierarchy are earlier on average: in the first tenth, say."""
    x = np.arange(1000)
    hierarchy = np.stack([8 * (x % 40), 8 * (x // 40), 8 * (x % 40) + 8, 8 * (x // 40) + 8], axis=1).astype(np.float32)
    numbers = order_boxes([hierarchy])[:100] @ [1, 40, 0, 0] / 8
    assert 600 < numbers.mean() < 800  # of 999; 500 in a random order, and 950 by rank alone


def test_rectangles_are_found() -> None:
    image = np.full((200, 300, 3), 200, np.uint8)
    image[40:120, 50:110] = (200, 30, 30)
    image[90:180, 180:280] = (30, 30, 200)
    objects = np.array([[50.0, 40, 110, 120], [180, 90, 280, 180]])
    assert (best_overlaps_of_first(objects, selective_search(image), (100,)) > 0.9).all()


@pytest.mark.parametrize(
    ("space", "channels"),
    [("hsv", [0, 255, 200]), ("hue", [0]), ("rgi", [182, 72, 93]), ("intensity", [107])],
)
def test_color_spaces(space: ColorSpace, channels: list[int]) -> None:
    pixel = (200, 0, 0) if space in {"hsv", "hue"} else (200, 80, 0)
    found = color_channels(np.full((2, 3, 3), pixel, np.uint8), space)
    assert found.tolist() == [[channels] * 3] * 2


def test_lab_is_that_of_scikit_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    expected = color.rgb2lab(image) * (2.55, 1, 1) + (0, 128, 128)
    assert np.abs(color_channels(image, "lab") - expected).max() < 2


def test_the_modes_have_the_papers_8_and_80_hierarchies() -> None:
    counts = {mode: len(each.spaces) * len(each.scales) * len(each.measures) for mode, each in MODES.items()}
    assert counts == {"fast": 8, "quality": 80}


def test_without_scikit_image_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "skimage.segmentation", raising=False)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(DataError, match=r"run `pip install 'convolve\[detect\]'`"):
        selective_search(np.zeros((8, 8, 3), np.uint8))


@needs_shared
def test_the_boxes_of_opencv_are_covered() -> None:
    """Of the first 300 of OpenCV's own, most have a box of ours that overlaps by half."""
    theirs = np.load(SHARED / "detection/selective_search/opencv_proposals_xyxy.npz")["fast_chelsea_png"]
    ours = selective_search(np.asarray(Image.open(SHARED / "data/photos/chelsea.png").convert("RGB")))
    assert (best_overlaps_of_first(theirs[:300].astype(np.float64), ours, (2000,)) >= 0.5).mean() > 0.85


@needs_shared
def test_recall_on_blood_cells_is_that_of_opencv_at_least() -> None:
    """OpenCV's on the first 30 images: 0.172 and 0.785 of the cells by the first 100 and 1,000 boxes."""
    dataset = open_dataset(SHARED / "data/bccd")
    truth = dataset.ground_truths["boxes"]
    assert isinstance(truth, Boxes)
    overlaps, windows = [], []
    for index in range(0, 30, 6):
        rows, _ = truth.rows(np.array([index]))
        image = dataset.images.read(index)
        overlaps.append(best_overlaps_of_first(truth.boxes[rows], selective_search(image), (100, 1000)))
        windows.append(best_overlaps_of_first(truth.boxes[rows], sliding_windows(image.shape[:2]), (10_000,)))
    first, more = (np.concatenate(overlaps) >= 0.5).mean(axis=0).tolist()
    assert first >= 0.172
    assert more >= 0.785
    assert np.concatenate(overlaps)[:, 1].mean() > np.concatenate(windows).mean()
