"""Which regions are learned from: by hand, and against the published rule."""

from __future__ import annotations

import torch
from torch import Tensor

from convolve.layers.overlaps import box_iou
from convolve.layers.region_sampling import SamplingRule
from convolve.targets import BoxTensors

RULE = SamplingRule()


def targets(boxes: list[list[float]], classes: list[int], image: list[int]) -> BoxTensors:
    return BoxTensors(torch.tensor(boxes).reshape(-1, 4), torch.tensor(classes).long(), torch.tensor(image).long())


def shifted(box: list[float], steps: list[float]) -> Tensor:
    """A box moved to the right by several numbers of pixels."""
    return torch.tensor([[box[0] + step, box[1], box[2] + step, box[3]] for step in steps])


def test_objects_background_and_what_is_neither() -> None:
    """Moved by 0, 3 and 4 of 10 pixels a box overlaps by 1, 7/13 and 6/14; by 9 pixels by 1/19, which is too little."""
    regions = shifted([0, 0, 10, 10], [3, 4, 9])[None]
    found = RULE.sample(regions, targets([[0, 0, 10, 10]], [4], [0]))
    assert found.regions.tolist() == [[0, 0, 10, 10], [3, 0, 13, 10], [4, 0, 14, 10]]
    assert found.labels.tolist() == [5, 5, 0]
    assert found.boxes[:2].tolist() == [[0, 0, 10, 10]] * 2
    assert found.image.tolist() == [0, 0, 0]


def test_rcnn_takes_all_that_is_no_object_as_background() -> None:
    regions = shifted([0, 0, 10, 10], [3, 4, 9, 50])[None]
    found = SamplingRule(least_iou=0.0).sample(regions, targets([[0, 0, 10, 10]], [4], [0]))
    assert found.labels.tolist() == [5, 5, 0, 0, 0]


def test_an_image_has_64_regions_and_a_quarter_of_objects_at_most() -> None:
    random = torch.Generator().manual_seed(2)
    truth = targets([[20, 20, 60, 60], [100, 100, 150, 140]], [0, 2], [0, 1])
    near = torch.tensor([20.0, 20, 60, 60]) + 16 * torch.rand(900, 4, generator=random)
    far = torch.tensor([100.0, 100, 150, 140]) + 30 * torch.rand(900, 4, generator=random)
    found = RULE.sample(torch.stack([near, far]), truth, random)
    assert torch.bincount(found.image).tolist() == [64, 64]
    for image, kind in ((0, 1), (1, 3)):
        own = found.image == image
        assert (found.labels[own] == kind).sum() == 16
        best = box_iou(found.regions[own], truth.boxes[image])
        assert ((best >= 0.5) == (found.labels[own] > 0)).all()
        assert (best >= 0.1).all()
        assert len(set(map(tuple, found.regions[own].tolist()))) == 64


def test_a_region_belongs_to_the_object_that_it_overlaps_most() -> None:
    regions = torch.tensor([[[1.0, 0, 11, 10]]])
    found = RULE.sample(regions, targets([[0, 0, 10, 10], [2, 0, 11, 10]], [0, 1], [0, 0]))
    assert found.labels.tolist() == [1, 2, 2]
    assert found.boxes[2].tolist() == [2, 0, 11, 10]


def test_an_image_without_objects_gives_background_and_regions_without_an_area_are_none() -> None:
    regions = torch.zeros(2, 100, 4)
    regions[1, :70] = torch.tensor([5.0, 5, 9, 9])
    found = RULE.sample(regions, targets([], [], []))
    assert found.image.tolist() == [1] * 64
    assert not found.labels.any()


def test_the_same_random_numbers_draw_the_same_regions() -> None:
    regions = 50 + 50 * torch.rand(1, 500, 4, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    truth = targets([], [], [])
    first, second, other = (
        RULE.sample(regions, truth, torch.Generator().manual_seed(seed)).regions for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
