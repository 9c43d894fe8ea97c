"""Where images are in the input and back; tiles cover an image, and cut-off boxes are left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve.choices import Fit
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.boxes import Boxes
from convolve.datasets.cache import open_cache
from convolve.datasets.input_boxes import input_matrices, to_image, to_input
from convolve.tasks.detect.suppression import RankedBoxes
from convolve.tasks.detect.views import cut_views, merge_views
from convolve.values import Preprocessing
from tests.tasks.detect.small import dataset


def preprocessing(fit: Fit, height: int = 64, width: int = 64) -> Preprocessing:
    return Preprocessing(height, width, 3, fit, (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("shape", [(64, 80), (150, 90), (333, 217)])
def test_the_way_to_the_input_is_that_of_the_targets(fit: Fit, shape: tuple[int, int], tmp_path: object) -> None:
    """Boxes as batches have them are those of the dataset by the same matrices; and back they are the boxes again."""
    from pathlib import Path

    data = dataset(Path(str(tmp_path)), 12, shape)
    boxes = data.ground_truths["boxes"]
    assert isinstance(boxes, Boxes)
    plan = preprocessing(fit)
    options = BatchOptions(plan, 12, seed=0, shuffle=False, workers=0)
    source = open_cache(data.images, plan, None, budget=0)
    (batch,) = Batches(source, boxes, np.arange(12), options).epoch(0)
    matrices = input_matrices(boxes.sizes, plan)
    rows, image = boxes.rows(np.arange(12))
    scales, shifts = matrices[image][:, [0, 1], [0, 1]], matrices[image][:, :, 2]
    moved = to_input(boxes.boxes[rows], matrices[image])
    assert moved == pytest.approx(boxes.boxes[rows] * np.tile(scales, 2) + np.tile(shifts, 2))
    assert to_image(moved, matrices[image], boxes.sizes[image]) == pytest.approx(boxes.boxes[rows])
    inside = (moved >= 0).all(1) & (moved <= 64).all(1)
    expected = batch.targets.boxes  # type: ignore[attr-defined]
    if fit != "crop":
        assert inside.all()
        assert moved == pytest.approx(expected, abs=1e-4)
    else:
        assert all(np.abs(expected - row).max(1).min() < 1e-4 for row in moved[inside])


def test_detections_are_cut_off_at_the_images_edge() -> None:
    plan = preprocessing("stretch")
    matrices = input_matrices(np.array([[32, 128]]), plan)
    found = to_image(np.array([[-8.0, 16, 32, 80]]), matrices, np.array([[32, 128]]))
    assert found.tolist() == [[0, 8, 64, 32]]


@pytest.mark.parametrize("shape", [(64, 64), (100, 333), (257, 64), (500, 700)])
def test_tiles_cover_the_image_and_overlap(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    plan = preprocessing("letterbox")
    views = list(cut_views(image, shape, image, 64, plan))
    covered = np.zeros(shape, dtype=int)
    for view in views[1:]:
        corner = -view.matrix[:, 2] / view.matrix[[0, 1], [0, 1]]
        left, top = np.rint(corner).astype(int)
        assert np.array_equal(view.pixels, image[top : top + 64, left : left + 64])
        covered[top : top + 64, left : left + 64] += 1
        assert (view.edges[0] == -np.inf) == (left == 0)
        assert (view.edges[3] == np.inf) == (top + 64 == shape[0])
    if max(shape) == 64:
        assert len(views) == 1
    else:
        assert covered.min() >= 1
        assert covered.max() <= 16
        long = int(np.argmax(shape))
        assert (covered.min(1 - long) >= 1).all()


def test_an_object_in_several_tiles_is_found_once_and_whole() -> None:
    """An object that tiles cut is given by each tile that shows a part of it, and by one that shows all of it."""
    image = np.zeros((64, 160, 3), np.uint8)
    views = list(cut_views(image, (64, 160), image, 64, preprocessing("letterbox")))
    lefts = [round(float(-view.matrix[0, 2])) for view in views[1:]]
    assert lefts == [0, 48, 96]
    # An object from 50 to 70: the first tile ends at 64 and shows 14 pixels of it, the second shows all of it.
    parts = {1: [50.0, 10, 64, 30], 2: [50 - 48.0, 10, 70 - 48, 30]}
    found = [
        RankedBoxes(
            torch.tensor(box).reshape(-1, 4), torch.full((len(box) // 4,), 0.9), torch.zeros(len(box) // 4).long()
        )
        for box in (parts.get(number, []) for number in range(len(views)))
    ]
    merged = merge_views(found, views)
    assert merged.boxes.tolist() == [[50, 10, 70, 30]]
    # At the image's own edge nothing is cut off.
    edge = [RankedBoxes(torch.tensor([[0.0, 0, 20, 64]]), torch.tensor([0.5]), torch.tensor([1]))] * len(views)
    assert len(merge_views([found[0], edge[1], *found[:1] * (len(views) - 2)], views).boxes) == 1


def test_what_views_find_is_merged_by_score() -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    views = list(cut_views(image, (64, 96), image, 64, preprocessing("letterbox")))
    found = [
        RankedBoxes(torch.tensor([[10.0, 10, 20, 20]]), torch.tensor([score]), torch.tensor([0]))
        for score in (0.1, 0.9, 0.5)
    ]
    merged = merge_views(found, views)
    assert merged.scores.tolist() == pytest.approx([0.9, 0.5, 0.1])
    whole = (96 / 64) * np.array([10, 10 - 10.5, 20, 20 - 10.5])  # 43 of 64 rows show the image, below 10 of padding
    assert merged.boxes[2].numpy() == pytest.approx(whole, abs=0.8)


@pytest.mark.parametrize("shape", [(64, 100), (150, 50), (300, 200)])
def test_tiles_show_all_of_an_image_that_is_cropped_as_a_whole(shape: tuple[int, int]) -> None:
    """A box is left out where the crop cuts it; without tiles there is no other view that would show all of it."""
    image = np.zeros((*shape, 3), np.uint8)
    plan = preprocessing("crop")
    views = list(cut_views(image, shape, image, 80, plan))
    shown = np.zeros(shape, dtype=bool)
    for view in views[1:]:
        left, top = (-view.matrix[:, 2] / view.matrix[[0, 1], [0, 1]]).round().astype(int)
        right, bottom = ((64 - view.matrix[:, 2]) / view.matrix[[0, 1], [0, 1]]).round().astype(int)
        shown[top:bottom, left:right] = True
        assert 0 <= left < right <= shape[1]
    assert shown.all()

    cut = torch.tensor([[20.0, 20, 64, 40]] if shape[1] > shape[0] else [[20.0, 20, 40, 64]])
    inside = torch.tensor([[20.0, 20, 40, 40]])
    none, scores = torch.zeros((0, 4)), torch.tensor([0.9])
    for box, tiled, alone in ((cut, 0, 1), (inside, 1, 1)):
        found = RankedBoxes(box, scores, torch.zeros(1).long())
        empty = RankedBoxes(none, scores[:0], torch.zeros(0).long())
        assert len(merge_views([found, *[empty] * (len(views) - 1)], views).boxes) == tiled
        assert len(merge_views([found], list(cut_views(image, shape, image, None, plan))).boxes) == alone
