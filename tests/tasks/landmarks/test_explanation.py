"""What is explained of a point."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve import models
from convolve.datasets.point_sets import describe_points
from convolve.tasks.landmarks.explanation import CellScore, DirectionScore, explanation_targets
from convolve.tasks.landmarks.task import Landmarks
from convolve.values import Preprocessing
from tests.tasks.landmarks.small import NAMES

SQUARE = Preprocessing(64, 64, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
SIZES = np.array([[64, 64]] * 3)
MEAN = np.full((3, 2), 0.5, np.float32)


def task_of(name: str, loss: str) -> Landmarks:
    outputs = 6 if models.card(name).output == "image" else 3
    network = models.create(name, outputs, 3, (64, 64)).eval()
    return Landmarks(network, describe_points(NAMES), loss, 0.05, MEAN, 0.1)  # type: ignore[arg-type]


def images() -> torch.Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["simple_baseline_resnet20_cifar", "stacked_hourglass_2"])
def test_the_score_of_a_heatmap_is_its_highest_cell(name: str) -> None:
    task = task_of(name, "heatmap")
    found = explanation_targets(task, images(), SIZES, [2, 0], SQUARE)
    assert found.names == (("right_foot", "head"),) * 3
    with torch.no_grad():
        outputs = task.network(images())
    highest = outputs[-1].flatten(2).amax(2)
    for target, point in zip(found.targets, (2, 0), strict=True):
        assert isinstance(target, CellScore)
        assert torch.allclose(target(outputs), highest[:, point], atol=1e-5)
        some = torch.tensor([2, 0])
        assert torch.equal(target.take(some)(tuple(each[some] for each in outputs)), target(outputs)[some])
    assert found.regions is not None
    positions = task.positions(outputs[-1], (64, 64))
    x, y = positions[1, 2, :2].tolist()
    rows, columns = np.nonzero(found.regions[1, 0])
    assert np.hypot(rows + 0.5 - y, columns + 0.5 - x).max() <= 64 / 16


def test_all_points_together_unless_some_are_asked_for() -> None:
    task = task_of("simple_baseline_resnet20_cifar", "heatmap")
    found = explanation_targets(task, images(), SIZES, [], SQUARE)
    assert found.names == (("all points",),) * 3
    with torch.no_grad():
        outputs = task.network(images())
    assert torch.allclose(found.targets[0](outputs), outputs[-1].flatten(2).amax(2).mean(1), atol=1e-5)


def test_regression_scores_1_where_nothing_changes_and_less_nearer_to_the_mean() -> None:
    task = task_of("lenet5_keras", "wing")
    for classes in ([], [1]):
        found = explanation_targets(task, images(), SIZES, classes, SQUARE)
        (target,) = found.targets
        assert isinstance(target, DirectionScore)
        assert found.scores == pytest.approx(np.ones((3, 1)), abs=1e-4)
        with torch.no_grad():
            outputs = task.network(images())
        assert target(outputs / 2).tolist() == pytest.approx([0.5] * 3, abs=1e-4)
    other = outputs.clone()
    other[:, [0, 1, 4, 5]] = 9.0  # points that are not explained
    assert torch.allclose(target(other), target(outputs))


@pytest.mark.parametrize(
    ("name", "loss", "method"),
    [("lenet5_keras", "wing", "grad-cam"), ("simple_baseline_resnet20_cifar", "heatmap", "layer-cam")],
)
def test_the_score_has_a_gradient(name: str, loss: str, method: str) -> None:
    task = task_of(name, loss)
    inputs = images().requires_grad_()
    (target,) = explanation_targets(task, images(), SIZES, [0], SQUARE).targets
    torch.autograd.backward(target(task.network(inputs)).sum())
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0
    assert task.explanation_method(None)[0] == method
