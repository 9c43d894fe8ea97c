from __future__ import annotations

import torch
from torchvision.ops import box_iou as torchvision_box_iou

from convolve.layers.overlaps import best_overlaps, box_iou, size_overlaps
from convolve.targets import BoxTensors


def _boxes(count: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=random) * 80
    return torch.cat((corner, corner + torch.rand(count, 2, generator=random) * 60), 1)


def test_overlaps_are_those_of_torchvision() -> None:
    first, second = _boxes(40, 0), _boxes(30, 1)
    torch.testing.assert_close(box_iou(first[:, None], second), torchvision_box_iou(first, second))


def test_sizes_overlap_as_boxes_around_one_center() -> None:
    first, second = _boxes(40, 0)[:, 2:], _boxes(30, 1)[:, 2:]
    centered = torchvision_box_iou(torch.cat((-first, first), 1), torch.cat((-second, second), 1))
    torch.testing.assert_close(size_overlaps(first[:, None], second), centered)


def test_boxes_without_area_or_of_no_number_overlap_nothing() -> None:
    point, endless = torch.tensor([5.0, 5, 5, 5]), torch.tensor([-torch.inf, 3, torch.inf, 3])
    for box in (point, endless):
        assert box_iou(box, torch.tensor([0.0, 0, 10, 10])) == 0
        assert box_iou(box, box) == 0


def test_the_best_target_is_one_of_the_own_image_and_the_first_of_equals() -> None:
    boxes = torch.stack([_boxes(25, seed) for seed in range(4)])
    targets = BoxTensors(_boxes(9, 7), torch.zeros(9).long(), torch.tensor([0, 0, 0, 0, 2, 3, 3, 3, 3]))
    targets.boxes[8] = targets.boxes[5]
    best, index = best_overlaps(boxes, targets)
    for image, first in ((0, 0), (2, 4), (3, 5)):
        expected = torchvision_box_iou(boxes[image], targets.boxes[targets.image == image])
        torch.testing.assert_close(best[image], expected.amax(1))
        found = best[image] > 0
        assert torch.equal(index[image][found], first + expected.argmax(1)[found])
    assert not best[1].any()
    assert not (index[3] == 8).any()


def test_without_targets_nothing_overlaps() -> None:
    none = BoxTensors(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0).long())
    best, index = best_overlaps(_boxes(6, 0)[None], none)
    assert best.tolist() == [[0.0] * 6]
    assert index.shape == (1, 6)
