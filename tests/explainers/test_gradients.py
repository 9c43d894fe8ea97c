"""The methods that go down to the pixels, against plain loops and closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convolve.explainers import gradients
from convolve.explainers.methods import attributions
from convolve.explainers.occlusion import squares
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network
from tests.explainers.small import images, network

CLASSES = torch.tensor([1, 4])
TARGET = ClassScore(CLASSES)
NAMES = ("lenet5_keras", "resnet20_cifar", "googlenet")


def _gradient(of: Network, image: Tensor, kind: int) -> Tensor:
    """Of one image, as everybody writes it."""
    leaf = image.clone()[None].requires_grad_()
    torch.autograd.backward(of(leaf)[0, kind])
    of.zero_grad()
    assert leaf.grad is not None
    return leaf.grad[0]


def _close(ours: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_saliency_is_the_largest_gradient_of_the_channels(name: str) -> None:
    of = network(name)
    given = images(of)
    expected = [_gradient(of, image, int(kind)).abs().max(0).values for image, kind in zip(given, CLASSES, strict=True)]
    _close(attributions(of, "saliency", given, TARGET), torch.stack(expected))


def test_a_linear_networks_maps_are_its_weights() -> None:
    of = network("linear")
    given = images(of)
    assert isinstance(of.head, nn.Sequential)
    layer = of.head[-1]
    assert isinstance(layer, nn.Linear)
    weights = layer.weight[CLASSES].detach().view_as(given)
    _close(attributions(of, "saliency", given, TARGET), weights.abs().amax(1))
    _close(attributions(of, "smooth-grad", given, TARGET), weights.abs().amax(1))
    _close(attributions(of, "integrated-gradients", given, TARGET), (weights * given).sum(1))


@pytest.mark.parametrize(("name", "tolerance"), [("lenet5_keras", 1e-5), ("resnet20_cifar", 0.02)])
def test_integrated_gradients_are_complete(name: str, tolerance: float) -> None:
    """They add up to what the image scores above the baseline (section 3); exactly so where scores are smooth."""
    of = network(name)
    given = images(of)
    with torch.no_grad():
        rise = (of(given) - of(torch.zeros_like(given))).gather(1, CLASSES[:, None])[:, 0]
    found = attributions(of, "integrated-gradients", given, TARGET).sum((1, 2))
    torch.testing.assert_close(found, rise, rtol=0, atol=tolerance * float(rise.abs().max()))


def test_integrated_gradients_are_the_limit_of_equal_steps() -> None:
    of = network("lenet5_keras")
    given = images(of, 1)
    steps = [_gradient(of, (place + 0.5) / 300 * given[0], 1) for place in range(300)]
    _close(
        attributions(of, "integrated-gradients", given, TARGET.take(torch.tensor([0])))[0],
        (given[0] * sum(steps) / 300).sum(0),
        1e-3,
    )
    assert gradients.STEPS >= 20  # section 5


def test_smooth_grad_is_the_mean_over_noise_of_its_own_seed() -> None:
    of = network("resnet20_cifar")
    given = images(of)
    random = torch.Generator().manual_seed(gradients.SEED)
    noises = [torch.randn(given.shape[1:], generator=random) for _ in range(gradients.SAMPLES)]
    expected = []
    for image, kind in zip(given, CLASSES, strict=True):
        sigma = 0.15 * (image.max() - image.min())
        own = [_gradient(of, image + sigma * noise, int(kind)) for noise in noises]
        expected.append((sum(own) / len(own)).abs().max(0).values)  # type: ignore[union-attr]
    found = attributions(of, "smooth-grad", given, TARGET)
    _close(found, torch.stack(expected), 1e-3)
    assert torch.equal(found, attributions(of, "smooth-grad", given, TARGET))


@torch.no_grad()
def test_occlusion_is_the_mean_fall_of_the_score_under_the_squares_over_a_pixel() -> None:
    of = network("lenet5_keras")
    given = images(of)
    found = attributions(of, "occlusion", given, TARGET)
    for image, kind, heat in zip(given, CLASSES, found, strict=True):
        whole = of(image[None])[0, kind]
        falls: dict[tuple[int, int], list[Tensor]] = {}
        for rows, columns in squares(32, 32):
            covered = image.clone()
            covered[:, rows, columns] = 0
            fall = whole - of(covered[None])[0, kind]
            for row in range(rows.start, rows.stop):
                for column in range(columns.start, columns.stop):
                    falls.setdefault((row, column), []).append(fall)
        expected = torch.tensor(
            [[sum(falls[row, column]) / len(falls[row, column]) for column in range(32)] for row in range(32)]
        )
        _close(heat, expected, 1e-3)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (32, 48), (29, 31), (7, 9), (1, 5)])
def test_squares_cover_all_and_stay_inside(height: int, width: int) -> None:
    covered = torch.zeros(height, width)
    for square in squares(height, width):
        assert covered[square].shape[0] == covered[square].shape[1] == max(1, round(min(height, width) / 7))
        covered[square] += 1
    assert covered.min() >= 1
