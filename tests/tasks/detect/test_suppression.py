"""Non-maximum suppression against plain loops, and against the paper of soft-NMS."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convolve.layers.box_head import Candidates
from convolve.metrics.boxes import intersection_over_union
from convolve.tasks.detect.options import Suppression
from convolve.tasks.detect.suppression import (
    CONSIDERED,
    RankedBoxes,
    SuppressionRule,
    best_candidates,
    detect,
    suppress,
)


def random_found(seed: int, count: int = 60, classes: int = 3) -> RankedBoxes:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corners, corners + random.uniform(5, 40, (count, 2))], 1)
    scores = np.sort(random.uniform(0.01, 1, count))[::-1].copy()
    return RankedBoxes(*map(torch.from_numpy, (boxes, scores, random.integers(0, classes, count))))


def suppressed_by_loops(found: RankedBoxes, kind: Suppression, iou: float) -> list[int]:
    """As the lecture says it: take the best, remove what overlaps it, until nothing is left."""
    overlap = intersection_over_union(found.boxes.numpy(), found.boxes.numpy())
    left, kept = list(range(len(found.boxes))), []
    while left:
        best = left.pop(0)
        kept.append(best)
        rivals = [row for row in left if kind == "agnostic" or found.classes[row] == found.classes[best]]
        left = [row for row in left if row not in rivals or overlap[best, row] <= iou]
    return kept


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["per-class", "agnostic"]), st.sampled_from([0.0, 0.3, 0.45, 0.7, 1.0]))
def test_the_best_suppresses_what_overlaps_it(seed: int, kind: Suppression, iou: float) -> None:
    found = random_found(seed)
    kept = suppress(found, SuppressionRule(kind, iou, most=100))
    assert kept.scores.tolist() == found.scores[suppressed_by_loops(found, kind, iou)].tolist()
    again = suppress(kept, SuppressionRule(kind, iou, most=100))
    assert torch.equal(again.boxes, kept.boxes)


def test_an_overlap_of_the_threshold_itself_stays() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    found = RankedBoxes(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 0]))
    assert len(suppress(found, SuppressionRule(iou=0.5)).boxes) == 2
    assert len(suppress(found, SuppressionRule(iou=0.499)).boxes) == 1


def test_other_classes_are_suppressed_only_where_that_is_asked_for() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    found = RankedBoxes(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 79]))
    assert suppress(found, SuppressionRule("per-class")).classes.tolist() == [0, 79]
    assert suppress(found, SuppressionRule("agnostic")).classes.tolist() == [0]
    assert suppress(found, SuppressionRule("soft")).scores.tolist() == found.scores.tolist()


def test_classes_far_from_each_other_do_not_lose_precision() -> None:
    """Overlaps of 0.449 and 0.451 are on either side of the threshold, whatever the index of the class."""
    boxes = torch.tensor([[0.0, 0, 1000, 1000], [0, 0, 1000, 449], [0, 0, 1000, 451]])
    for kind in (0, 4999):
        found = RankedBoxes(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.full((3,), kind))
        kept = suppress(found, SuppressionRule(iou=0.45))
        assert kept.boxes[:, 3].tolist() == [1000, 449]


def soft_by_loops(found: RankedBoxes, most: int) -> list[tuple[int, float]]:
    """Figure 2 of the paper with equation 4 and sigma 0.5, for each class by itself."""
    overlap = intersection_over_union(found.boxes.numpy(), found.boxes.numpy())
    scores, left = found.scores.tolist(), list(range(len(found.boxes)))
    chosen: list[tuple[int, float]] = []
    while left and len(chosen) < most:
        best = max(left, key=lambda row: scores[row])
        left.remove(best)
        chosen.append((best, scores[best]))
        for row in left:
            if found.classes[row] == found.classes[best]:
                scores[row] *= math.exp(-(overlap[best, row] ** 2) / 0.5)
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_soft_suppression_is_the_papers(seed: int) -> None:
    found = random_found(seed)
    expected = soft_by_loops(found, 100)
    kept = suppress(found, SuppressionRule("soft", threshold=0.0, most=100))
    assert kept.scores.numpy() == pytest.approx([score for _, score in expected])
    assert torch.equal(kept.boxes, found.boxes[[row for row, _ in expected]])
    assert kept.scores.tolist() == sorted(kept.scores.tolist(), reverse=True)
    few = suppress(found, SuppressionRule("soft", threshold=0.2, most=7))
    assert torch.equal(few.scores, kept.scores[:7][kept.scores[:7] >= 0.2])


def candidates(images: int = 3, count: int = 40, classes: int = 4) -> Candidates:
    random = torch.Generator().manual_seed(1)
    corners = 50 * torch.rand(images, count, 2, generator=random)
    boxes = torch.cat([corners, corners + 5 + 20 * torch.rand(images, count, 2, generator=random)], 2)
    return Candidates(boxes, torch.rand(images, count, classes, generator=random) ** 4)


def test_candidates_are_all_scores_of_all_boxes_the_best_first() -> None:
    every = candidates()
    for image, found in enumerate(best_candidates(every, 0.3)):
        scores = every.scores[image]
        assert found.scores.tolist() == sorted(scores[scores >= 0.3].tolist(), reverse=True)
        for box, score, kind in zip(found.boxes, found.scores, found.classes, strict=True):
            row = (every.boxes[image] == box).all(1).nonzero()[0, 0]
            assert scores[row, kind] == score


def test_each_image_is_detected_by_itself_and_filled_up() -> None:
    every = candidates()
    found = detect(every, SuppressionRule(threshold=0.5, most=50))
    assert found.shape == (3, 50, 6)
    for image in range(3):
        alone = detect(Candidates(every.boxes[image : image + 1], every.scores[image : image + 1]), SuppressionRule())
        count = int((found[image, :, 4] > 0).sum())
        assert 0 < count < 50
        assert torch.equal(found[image, :count], alone[0, :count])
        assert float(alone[0, count, 4]) < 0.5
        assert not found[image, count:].any()


def test_nothing_found_is_nothing() -> None:
    every = candidates()
    assert not detect(Candidates(every.boxes, 0 * every.scores), SuppressionRule(threshold=0.0)).any()
    assert not detect(every, SuppressionRule(threshold=1.0)).any()


@pytest.mark.parametrize("kind", ["per-class", "agnostic", "soft"])
@pytest.mark.parametrize("edge", [math.nan, math.inf, -1e9])
def test_boxes_that_are_none_are_left_out(kind: Suppression, edge: float) -> None:
    """Not a number, without end, or with the right edge left of the left one."""
    every = candidates()
    boxes = every.boxes.clone()
    boxes[:, 0, 2] = edge
    scores: Tensor = every.scores.clone()
    scores[:, 0] = 1.0
    scores[:, 1, 0] = math.nan
    found = detect(Candidates(boxes, scores), SuppressionRule(kind, threshold=0.01))
    assert bool(found.isfinite().all())
    assert float(found[..., 4].max()) < 1.0


def test_only_the_best_thousand_are_considered() -> None:
    boxes = torch.tensor([0.0, 0, 5, 5]) + 10 * torch.arange(2 * CONSIDERED)[None, :, None]
    scores = torch.linspace(0.1, 0.9, 2 * CONSIDERED)[None, :, None]
    (found,) = best_candidates(Candidates(boxes, scores), 0.0)
    assert torch.equal(found.scores, scores[0, CONSIDERED:, 0].flip(0))
