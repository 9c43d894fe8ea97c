"""Anchors, what they learn, and proposals, against those of the authors' program and of torchvision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from convolve.layers.region_proposals import (
    POSITIVE,
    ProposalOptions,
    anchor_sides,
    centered_anchors,
    match_anchors,
    propose,
    published_anchors,
    sample_labels,
    shift_anchors,
)

STORED = np.load(Path(__file__).parent / "faster_rcnn" / "faster_rcnn_224x320.npz")
SIZE, SHAPE = (224, 320), (14, 20)
OPTIONS = ProposalOptions()


def stored(name: str) -> Tensor:
    return torch.from_numpy(STORED[name])


def by_cells(values: Tensor) -> Tensor:
    """(A, H, W) to (H * W * A,)."""
    return values.permute(1, 2, 0).flatten()


@pytest.fixture
def anchors() -> Tensor:
    return shift_anchors(published_anchors(), SHAPE, 16)


def test_anchors_are_the_published_ones() -> None:
    assert torch.equal(published_anchors().double(), stored("anchors"))
    assert torch.equal(published_anchors((4, 8)).double(), stored("anchors_scales_4_8"))


def test_anchors_of_a_pyramid_are_torchvisions() -> None:
    sizes = (32, 64)
    generator = AnchorGenerator(tuple((size,) for size in sizes), ((0.5, 1.0, 2.0),) * 2)
    shapes = [(6, 8), (3, 4)]
    expected = generator(ImageList(torch.zeros(1, 3, 24, 32), [(24, 32)]), [torch.zeros(1, 1, *s) for s in shapes])[0]
    found = [
        shift_anchors(centered_anchors(anchor_sides((size,))), shape, stride)
        for size, shape, stride in zip(sizes, shapes, (4, 8), strict=True)
    ]
    assert torch.equal(torch.cat(found), expected)


def test_labels_and_targets(anchors: Tensor) -> None:
    boxes = stored("gt_boxes_and_class")[:, :4]
    matches = match_anchors(anchors, boxes, SIZE, OPTIONS)
    assert torch.equal(matches.labels, by_cells(stored("rpn_labels_all")).long())
    assert [int((matches.labels == label).sum()) for label in (1, 0, -1)] == [61, 44, 2415]
    deltas = OPTIONS.coder.encode(anchors, boxes[matches.targets])
    expected = stored("rpn_targets_all").permute(2, 3, 0, 1).reshape(-1, 4)
    learning = matches.labels == POSITIVE
    assert torch.allclose(deltas[learning], expected[learning], atol=1e-5)


def test_all_equally_good_anchors_are_positive_and_none_for_a_target_without_any() -> None:
    anchors = torch.tensor([[0.0, 0, 9, 9], [10, 0, 19, 9], [30, 0, 39, 9]])
    target = torch.tensor([[5.0, 0, 14, 9], [60, 60, 69, 69]])
    labels = match_anchors(anchors, target, (80, 80), OPTIONS).labels
    assert labels.tolist() == [1, 1, 0]
    nothing = match_anchors(anchors, target[:0], (80, 35), OPTIONS).labels
    assert nothing.tolist() == [0, 0, -1]
    outside = match_anchors(anchors, target, (8, 8), OPTIONS).labels
    assert outside.tolist() == [-1, -1, -1]


def test_a_sample_is_filled_up_and_the_same_without_a_generator(anchors: Tensor) -> None:
    labels = match_anchors(anchors, stored("gt_boxes_and_class")[:, :4], SIZE, OPTIONS).labels
    objects, nothing = sample_labels(labels, 256, 0.5, None)
    assert [len(objects), len(nothing)] == stored("rpn_sampled_counts").tolist()[:2]
    assert float(stored("rpn_outside_weight_of_a_sample")) == pytest.approx(1 / (len(objects) + len(nothing)))
    few = [sample_labels(labels, 40, 0.5, None) for _ in range(2)]
    assert torch.equal(torch.cat(few[0]), torch.cat(few[1]))
    assert [len(few[0][0]), len(few[0][1])] == [20, 20]
    assert bool((labels[few[0][0]] == 1).all())
    assert bool((labels[few[0][1]] == 0).all())
    other = sample_labels(labels, 40, 0.5, torch.Generator().manual_seed(5))
    assert not torch.equal(torch.cat(other), torch.cat(few[0]))
    rare = sample_labels(torch.tensor([1, 0, 0, 0, -1]), 4, 0.5, None)
    assert [len(rare[0]), len(rare[1])] == [1, 3]


@pytest.mark.parametrize(("part", "counts"), [("train", OPTIONS.training), ("test", OPTIONS.testing)])
def test_proposals(anchors: Tensor, part: str, counts: tuple[int, int]) -> None:
    scores = by_cells(stored("proposal_probabilities")[0, 9:])
    deltas = stored("proposal_deltas")[0].view(9, 4, *SHAPE).permute(2, 3, 0, 1).reshape(-1, 4)
    options = ProposalOptions(least_side=16 * 1.25)
    found = propose([scores], [deltas], [anchors], SIZE, options, counts)
    expected = stored(f"proposals_{part}")
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-4)


def test_each_map_has_its_own_suppression_and_all_one_order() -> None:
    box = torch.tensor([[0.0, 0, 31, 31]])
    options = ProposalOptions(least_side=1)
    scores, deltas = [torch.tensor([0.2]), torch.tensor([0.9])], [torch.zeros(1, 4), torch.zeros(1, 4)]
    found = propose(scores, deltas, [box, box + 1], (64, 64), options, (10, 10))
    assert found[:, 0].tolist() == [1, 0]
