"""The losses, against their papers' formulas written as loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.tasks.embed.losses import arcface_logits, arcface_loss, triplet_loss


def vectors(count: int, size: int = 5, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, size, generator=random, dtype=torch.float64))


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_arcface_adds_the_margin_to_the_angle(margin: float) -> None:
    embeddings, centers, targets = vectors(6), 3 * vectors(4, seed=1), torch.tensor([0, 1, 2, 3, 0, 1])
    found = arcface_logits(embeddings, targets, centers, margin, 64.0)
    for row in range(6):
        for column in range(4):
            angle = math.acos(float(embeddings[row] @ centers[column] / 3))
            if column == targets[row] and angle + margin <= math.pi:
                angle += margin
            elif column == targets[row]:
                pytest.fail("this is for the next test")
            assert float(found[row, column]) == pytest.approx(64 * math.cos(angle))
    expected = F.cross_entropy(found, targets)
    assert float(arcface_loss(embeddings, targets, centers, margin, 64.0)) == pytest.approx(float(expected))


def test_the_own_logit_falls_with_the_angle_up_to_the_opposite_vector() -> None:
    angles = torch.linspace(0.01, math.pi - 0.01, 200, dtype=torch.float64)
    embeddings = torch.stack([angles.cos(), angles.sin()], 1)
    centers = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    own = arcface_logits(embeddings, torch.zeros(200, dtype=torch.int64), centers, 0.5, 1.0)[:, 0]
    assert bool((own.diff() < 0).all())


def test_arcfaces_gradient_is_finite_at_the_center_itself() -> None:
    center = F.normalize(torch.ones(1, 3))
    embedding = center.clone().requires_grad_()
    centers = torch.cat([center, -center])
    arcface_loss(embedding, torch.tensor([0]), centers, 0.5, 64.0).backward()  # type: ignore[no-untyped-call]
    assert embedding.grad is not None
    assert bool(embedding.grad.isfinite().all())


def semi_hard(embeddings: Tensor, targets: Tensor, margin: float) -> float:
    losses = []
    for anchor in range(len(targets)):
        for positive in range(len(targets)):
            if positive == anchor or targets[positive] != targets[anchor]:
                continue
            apart = float((embeddings[anchor] - embeddings[positive]).square().sum())
            others = [
                float((embeddings[anchor] - embeddings[index]).square().sum())
                for index in range(len(targets))
                if targets[index] != targets[anchor]
            ]
            farther = [distance for distance in others if distance > apart]
            if others:
                negative = min(farther) if farther else max(others)
                losses.append(max(0.0, apart - negative + margin))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("seed", range(4))
def test_triplets_are_semi_hard(seed: int) -> None:
    embeddings = vectors(12, 3, seed)
    targets = torch.randint(0, 4, (12,), generator=torch.Generator().manual_seed(seed))
    assert float(triplet_loss(embeddings, targets, 0.2)) == pytest.approx(semi_hard(embeddings, targets, 0.2))


@pytest.mark.parametrize("targets", [[0, 1, 2], [0, 0, 0]])
def test_without_triplets_the_loss_is_0_and_can_be_differentiated(targets: list[int]) -> None:
    embeddings = vectors(3).requires_grad_()
    loss = triplet_loss(embeddings, torch.tensor(targets), 0.2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0
    assert embeddings.grad is not None
