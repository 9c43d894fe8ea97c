"""The second stage against the authors' program and torchvision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import MultiScaleRoIAlign

from convolve.layers.region_classifier import RegionClassifier, RegionOptions, RegionOutputs, RegionPool

STORED = np.load(Path(__file__).parent / "faster_rcnn" / "faster_rcnn_224x320.npz")
USUAL = RegionOptions()


def stored(name: str) -> Tensor:
    return torch.from_numpy(STORED[name])


def classifier(options: RegionOptions = USUAL, classes: int = 5) -> RegionClassifier:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4, 8))
    return RegionClassifier(RegionPool(2, (16,)), layers, 8, classes, options)


def test_targets_of_regions() -> None:
    boxes, kinds = stored("gt_boxes_and_class").split_with_sizes((4, 1), 1)
    classes = kinds[:, 0].long() - 1
    every = replace(RegionOptions(), samples=10_000, fraction=1.0)
    found, labels, deltas = classifier(every).sample(stored("rois"), boxes, classes, None)
    expected = stored("roi_target_labels").long()
    assert torch.equal(labels, expected)
    assert torch.equal(found, stored("roi_target_rois"))
    objects = expected > 0
    targets = stored("roi_targets_normalised").view(315, -1, 4)
    own = targets[objects.nonzero()[:, 0], expected[objects]]
    assert torch.allclose(deltas[objects], own, atol=1e-5)
    weights = stored("roi_target_weights").view(315, -1, 4).amax(2)
    assert torch.equal(weights.nonzero()[:, 1], expected[objects])


def test_a_sample_has_few_objects_and_an_image_without_any_teaches_background() -> None:
    boxes, kinds = stored("gt_boxes_and_class").split_with_sizes((4, 1), 1)
    found = classifier().sample(stored("rois"), boxes, kinds[:, 0].long() - 1, None)
    assert (found[1] > 0).tolist() == [True] * 32 + [False] * 96
    nothing = classifier().sample(stored("rois"), boxes[:0], kinds[:0, 0].long(), None)
    assert nothing[1].tolist() == [0] * 128
    few = classifier(RegionOptions(background=0.1))
    labels = few.match(stored("rois"), boxes[:1], torch.tensor([2])).labels
    assert set(labels.tolist()) == {-1, 0, 3}
    assert set(few.match(stored("rois"), boxes[:0], torch.tensor([2])).labels.tolist()) == {-1}


def test_losses_are_torchvisions() -> None:
    random = torch.Generator().manual_seed(0)
    outputs = RegionOutputs(torch.randn(9, 6, generator=random), torch.randn(9, 6, 4, generator=random))
    labels, deltas = torch.tensor([0, 3, 5, 1, 0, 2, 0, 4, 3]), torch.randn(9, 4, generator=random)
    found = classifier(RegionOptions(beta=1 / 9)).losses(outputs, labels, deltas)
    expected = fastrcnn_loss(outputs.logits, outputs.deltas.flatten(1), [labels], [deltas])
    torch.testing.assert_close((found["class"], found["box"]), expected)


def test_regions_are_pooled_from_the_map_of_their_size() -> None:
    random = torch.Generator().manual_seed(1)
    maps = {str(level): torch.randn(2, 3, 128 // 2**level, 160 // 2**level, generator=random) for level in range(4)}
    corners, sides = torch.rand(2, 40, 2, generator=random)
    boxes = torch.cat((200 * corners, 200 * corners + 4 + 300 * sides**2), 1)
    boxes[:2] = torch.tensor([[0.0, 0, 224, 224], [0, 0, 112, 112]])
    images = torch.arange(40) // 20
    pool = RegionPool(7, (4, 8, 16, 32), align=True)
    found = pool(list(maps.values()), torch.cat((images[:, None].float(), boxes), 1))
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    expected = theirs(maps, [boxes[:20], boxes[20:]], [(512, 640)] * 2)
    assert torch.allclose(found, expected, atol=1e-5)
    assert pool.levels(boxes[:2]).tolist() == [2, 1]


def test_a_box_for_each_class() -> None:
    regions = torch.tensor([[10.0, 20, 29, 59]])
    deltas = torch.zeros(1, 6, 4)
    deltas[0, 2] = torch.tensor([1.0, 0, 0, 0])
    boxes, scores = classifier().decode(RegionOutputs(torch.zeros(1, 6), deltas), regions)
    assert torch.allclose(boxes[0, 0], torch.tensor([10.0, 20, 30, 60]))
    assert torch.allclose(boxes[0, 1], torch.tensor([12.0, 20, 32, 60]))
    assert torch.allclose(scores, torch.full((1, 5), 1 / 6))
